package segment

import (
	"bytes"
	"context"
	"fmt"
	"iter"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// requests counts what a store is asked for.
type requests struct {
	store
	opened int
	listed []string
}

func (r *requests) list(ctx context.Context, folder, prefix string) iter.Seq2[entry, error] {
	r.listed = append(r.listed, folder)
	return r.store.list(ctx, folder, prefix)
}

// TestOpenWithoutTheHeadHintGoesByTheMilestone, without listing the names of
// the links, and reads few of them.
func TestOpenWithoutTheHeadHintGoesByTheMilestone(t *testing.T) {
	inEachPlace(t, func(t *testing.T, p place) {
		for _, seals := range []int{1, milestoneEvery, 2*milestoneEvery + 7} {
			s := newPlace(t, p.name).open(t, "")
			c := openChain(t, s)
			for range seals {
				appendRecords(t, c, 2)
				seal(t, c)
			}
			removeFrom(t, s, chainOf0+headName)
			counted := &requests{store: s.files}
			s.files = opening{counted, func(string) { counted.opened++ }}
			c = openChain(t, s)
			s.files = counted.store
			if want := int64(5 + 2*seals); c.NextOffset() != want {
				t.Fatalf("%d seals: next offset is %d, want %d", seals, c.NextOffset(), want)
			}
			for _, folder := range counted.listed {
				if folder == c.dir {
					t.Errorf("%d seals: the links were listed", seals)
				}
			}
			if most := milestoneEvery + 10; counted.opened > most {
				t.Errorf("%d seals: %d files were opened, want at most %d", seals, counted.opened, most)
			}
			appendRecords(t, c, 1)
			seal(t, c)
			expectExactIn(t, s, 6+2*int64(seals))
		}
	})
}

// TestWriterDiesBehindAMilestone: what it left unpublished is published by who
// walks there from the milestone.
func TestWriterDiesBehindAMilestone(t *testing.T) {
	for survived := range 4 {
		t.Run(fmt.Sprintf("after %d steps", survived), func(t *testing.T) {
			inEachPlace(t, func(t *testing.T, p place) {
				s := p.open(t, "")
				dying := openChain(t, s)
				for range 3 {
					appendRecords(t, dying, 2)
					seal(t, dying)
				}
				appendRecords(t, dying, 2)
				for _, step := range dying.sealing()[:survived] {
					if err := step.run(t.Context()); err != nil {
						t.Fatal(err)
					}
				}
				removeFrom(t, s, chainOf0+headName)
				c := openChain(t, s)
				appendRecords(t, c, int(20-c.NextOffset()))
				seal(t, c)
				openChain(t, s)
				if left := namesIn(t, s, stagingDir); len(left) > 0 {
					t.Errorf("left in staging: %v", left)
				}
				expectExactIn(t, s, 20)
			})
		})
	}
}

// listing is told of every name that is listed.
type listing struct {
	store
	listed func()
}

func (l listing) list(ctx context.Context, folder, prefix string) iter.Seq2[entry, error] {
	return func(yield func(entry, error) bool) {
		for e, err := range l.store.list(ctx, folder, prefix) {
			l.listed()
			if !yield(e, err) {
				return
			}
		}
	}
}

// TestChainThatEndsBeforeItsHint says so, and goes on where it ends: who stores
// from Kafka has the records once more. A hint that is old is none of that.
func TestChainThatEndsBeforeItsHint(t *testing.T) {
	for name, test := range map[string]struct {
		lost int // links
		end  int64
	}{"nothing lost": {0, 11}, "the last link lost": {1, 9}, "two links lost": {2, 7}} {
		t.Run(name, func(t *testing.T) {
			dir := threeSegments(t)
			for _, link := range []string{link9, link7}[:test.lost] {
				if err := os.Remove(filepath.Join(dir, link)); err != nil {
					t.Fatal(err)
				}
			}
			var logged bytes.Buffer
			s := openDirectory(t, dir)
			s.logger = slog.New(slog.NewTextHandler(&logged, nil))
			c := openChain(t, s)
			if c.NextOffset() != test.end || c.HintedOffset() != 11 {
				t.Errorf("next offset is %d, hinted %d, want %d and 11", c.NextOffset(), c.HintedOffset(), test.end)
			}
			if warned := strings.Contains(logged.String(), "the hint of the chain names a link that is not there"); warned != (test.lost > 0) {
				t.Errorf("logged %s", logged.String())
			}
			appendRecords(t, c, int(13-test.end))
			seal(t, c)
			logged.Reset()
			if c = openChain(t, s); c.NextOffset() != 13 || c.HintedOffset() != 13 || logged.Len() > 0 {
				t.Errorf("then next offset is %d, hinted %d, and it logged %q", c.NextOffset(), c.HintedOffset(), logged.String())
			}
		})
	}
}
