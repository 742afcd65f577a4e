package segment

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/cryptotest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/logpipeline/logpipeline/ingester/config"
	"github.com/logpipeline/logpipeline/ingester/record"
	"github.com/prometheus/client_golang/prometheus"
)

var (
	interleavings    = flag.Int("interleavings", 60, "drive so many random interleavings in memory, a third of it in directories, and a tenth in S3")
	interleavingSeed = flag.Uint64("interleaving-seed", 0, "drive the one interleaving of this seed")
)

const (
	storyEnd    = 150 // offsets
	storyPerDay = 6
	storyKeep   = 2 * day
)

// TestRandomInterleavings lets two writers with codecs of their own store one
// partition at the same time, while a verifier and a reader look on. Any of
// their requests may be the one before or after which a process dies, which
// fails, or which is done although it has failed, possibly much later; writers
// sleep, remove what is old, and record gaps.
//
// Whatever happens, every offset is stored once, or in one gap; what a writer
// was told to be sealed is there; and verify never finds anything wrong.
//
//	go test ./ingester/segment -run RandomInterleavings -interleavings 5000
func TestRandomInterleavings(t *testing.T) {
	first, n := rand.Uint64()>>1, *interleavings
	if *interleavingSeed != 0 {
		first, n = *interleavingSeed, 1
	}
	total := map[string]int{}
	for kind, share := range map[string]int{"memory": 1, "directory": 3, "S3": 10} {
		t.Run(kind, func(t *testing.T) {
			for i := range (n + share - 1) / share {
				seed := first + uint64(i)
				ok := t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
					s := newStory(t, kind, seed)
					s.run()
					for name, count := range s.world.counts {
						total[name] += count
					}
				})
				if !ok {
					t.Fatalf("repeat it with -run 'RandomInterleavings/%s' -interleaving-seed %d", kind, seed)
				}
			}
		})
	}
	var names []string
	for name, count := range total {
		names = append(names, fmt.Sprintf("%s: %d", name, count))
	}
	t.Logf("seeds from %d on; faults:\n%s", first, strings.Join(slices.Sorted(slices.Values(names)), "\n"))
}

// story is one interleaving: what Kafka holds, and what writers were told.
type story struct {
	t      *testing.T
	world  *world
	open   func() store
	sealed map[int64]int64 // base -> next offset of what was acknowledged
	gaps   map[int64]int64
	now    time.Time // the latest at which something was removed
}

func newStory(t *testing.T, kind string, seed uint64) *story {
	cryptotest.SetGlobalRandom(t, seed) // for the writers' tokens
	s := &story{t: t, world: newWorld(seed), sealed: map[int64]int64{}, gaps: map[int64]int64{}}
	p := newPlace(t, kind)
	s.open = func() store { return p.open(t, "").files }
	return s
}

func (s *story) run() {
	done := 0
	for range 2 {
		s.world.start(func(a *actor) {
			s.write(a)
			done++
		})
	}
	watch := func(look func(readRemover)) func(*actor) {
		return func(a *actor) {
			for done < 2 {
				look(&process{store: s.open(), world: s.world, actor: a})
				a.asleep = s.world.random.IntN(200)
				a.yield()
			}
		}
	}
	s.world.start(watch(s.verify))
	s.world.start(watch(func(from readRemover) { s.read(from, nil) }))
	s.world.run()
	s.heal()
	s.check()
}

// write is the life of one consumer: processes follow each other.
func (s *story) write(a *actor) {
	for lives := 0; lives < 200; lives++ {
		p := &process{store: s.open(), world: s.world, actor: a, odds: 10 + s.world.random.IntN(60)}
		store := s.newStore(p)
		for !p.crashed {
			if s.writeUntilFailure(store) {
				return
			}
		}
	}
	s.t.Error("a writer has died too often")
}

func (s *story) newStore(files store) *Store {
	codec := []config.Compression{config.CompressionNone, config.CompressionGzip, config.CompressionZstd}[s.world.random.IntN(3)]
	store, err := newStore(files, testConfig(codec), slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	if err != nil {
		s.t.Fatal(err)
	}
	if codec != config.CompressionNone && s.world.one(2) {
		takeAll(&store.encoders.streams)
	}
	return store
}

// writeUntilFailure opens the chain and stores until it is at the end.
func (s *story) writeUntilFailure(store *Store) (complete bool) {
	c, err := store.Open(s.t.Context(), testTopic, testID, 0, beginAt(5))
	if err != nil {
		s.expected(err)
		return false
	}
	for err == nil && c.NextOffset() < storyEnd {
		err = s.act(c)
	}
	if err == nil {
		_, err = s.seal(c)
	}
	s.expected(errors.Join(err, c.Close()))
	return err == nil && c.sealed >= storyEnd
}

func (s *story) act(c *Chain) error {
	switch n := s.world.random.IntN(20); {
	case n < 10:
		next := min(c.NextOffset()+1+s.world.random.Int64N(6), storyEnd)
		return c.Append(storyRun(c.NextOffset(), next))
	case n < 16:
		_, err := s.seal(c)
		return err
	case n < 18:
		now := storyTime(c.sealed).Add(time.Duration(s.world.random.IntN(48)) * time.Hour)
		s.now = maxTime(s.now, now)
		s.expected(c.Retain(s.t.Context(), now, config.Retention{MaxAgeSeconds: int(storyKeep / time.Second)}))
		return nil // it harms nothing
	case n < 19 && s.world.one(3):
		base, pending := c.NextOffset(), c.pending
		next := min(base+1+s.world.random.Int64N(8), storyEnd)
		if pending != nil {
			if sealed, err := s.seal(c); err != nil || !sealed {
				return err
			}
		}
		if next <= c.NextOffset() {
			return nil
		}
		recorded, err := c.RecordGap(s.t.Context(), next, "lost in the story")
		if recorded {
			s.gaps[base] = next
		}
		return err
	}
	return nil
}

func (s *story) seal(c *Chain) (bool, error) {
	base, next := c.sealed, c.NextOffset()
	sealed, err := c.Seal(s.t.Context())
	if sealed {
		s.sealed[base] = next
	}
	return sealed, err
}

// expected fails on errors that no fault of the world explains. One is nobody's
// fault: the link that was in a writer's way has been removed when it looks.
func (s *story) expected(err error) {
	s.t.Helper()
	if err != nil && !errors.Is(err, errFault) && !errors.Is(err, errCrashed) && !errors.Is(err, fs.ErrExist) {
		s.t.Errorf("error that is no fault: %v", err)
	}
}

// verify looks at any time.
func (s *story) verify(from readRemover) {
	report, err := Verification{}.run(s.t.Context(), from)
	if err != nil {
		s.t.Errorf("verify: %v", err)
	}
	if len(report.Chains) > 0 && !report.Complete {
		s.t.Errorf("false alarm: %v", report.Problems)
	}
}

// read returns the offsets that are stored, each with its right line.
func (s *story) read(from readRemover, offsets []int64) []int64 {
	_, err := readHeader(s.t.Context(), from, partition{testTopic, testID, 0})
	if err != nil {
		return nil // not begun yet
	}
	err = yieldRecords(s.t.Context(), from, testTopic, 0, func(line Line, err error) bool {
		var offset int64
		if _, err := fmt.Sscanf(string(line.Bytes), `{"offset":%d}`, &offset); err != nil {
			s.t.Errorf("line %q: %v", line.Bytes, err)
		}
		if n := len(offsets); n > 0 && offsets[n-1] >= offset {
			s.t.Errorf("offset %d comes after %d", offset, offsets[n-1])
		}
		offsets = append(offsets, offset)
		return true
	})
	if err != nil {
		s.t.Errorf("read: %v", err)
	}
	return offsets
}

// heal does what is late, and stores the rest without faults.
func (s *story) heal() {
	for range 2 {
		s.world.catchUp()
		s.world.actors = nil
		s.world.start(func(a *actor) {
			store := s.newStore(&process{store: s.open(), world: s.world, actor: a})
			for n := 0; !s.writeUntilFailure(store); n++ {
				if n == 10 {
					s.t.Error("a healthy writer does not come to the end")
					return
				}
			}
		})
		s.world.run()
	}
}

// check compares what is stored with what has happened.
func (s *story) check() {
	files := s.open()
	s.verify(files)
	report, err := Verification{}.run(s.t.Context(), files)
	if err != nil || len(report.Chains) != 1 {
		s.t.Fatalf("error %v, report %+v", err, report)
	}
	chain := report.Chains[0]
	if chain.NextOffset != storyEnd {
		s.t.Errorf("the chain ends before %d, want %d", chain.NextOffset, storyEnd)
	}
	var want []int64
	for offset := chain.DataFrom; offset < storyEnd; offset++ {
		inGap := slices.ContainsFunc(chain.Gaps, func(g RecordedGap) bool { return g.FirstOffset <= offset && offset < g.NextOffset })
		if holdsRecord(offset) && !inGap {
			want = append(want, offset)
		}
	}
	if diff := cmp.Diff(want, s.read(files, nil)); diff != "" {
		s.t.Errorf("stored offsets (-want +got):\n%s", diff)
	}
	s.checkPromises(files, chain)
	for e, err := range files.list(s.t.Context(), stagingDir, "") {
		if !strings.Contains(e.name, offsetName(storyEnd)) {
			s.t.Errorf("left in staging: %s, error %v", e.name, err)
		}
	}
}

// checkPromises: what was acknowledged is there, as it was, or has been
// removed when it was old enough.
func (s *story) checkPromises(files store, chain ChainReport) {
	p := partition{testTopic, testID, 0}
	begin, err := readBoundaries(s.t.Context(), files, p, 5)
	if err != nil {
		s.t.Fatal(err)
	}
	for _, told := range []map[int64]int64{s.sealed, s.gaps} {
		for base, next := range told {
			link, err := readLink(s.t.Context(), files, p, base)
			if base >= begin.links && (err != nil || link.NextOffset != next) {
				s.t.Errorf("link at %d up to %d: error %v, want what was acknowledged, up to %d", base, link.NextOffset, err, next)
			}
		}
	}
	if last := storyTime(chain.DataFrom - 1); chain.DataFrom > chain.FirstOffset && holdsRecord(chain.DataFrom-1) && !last.Before(s.now.Add(-storyKeep)) {
		inGap := slices.ContainsFunc(chain.Gaps, func(g RecordedGap) bool { return g.NextOffset == chain.DataFrom })
		if !inGap {
			s.t.Errorf("data up to %d, of %v, was removed at %v", chain.DataFrom, last, s.now)
		}
	}
}

// In the story, every eleventh offset holds no record, and some every day.
func holdsRecord(offset int64) bool { return offset%11 != 0 }

func storyTime(offset int64) time.Time { return dayOf(int(offset / storyPerDay)) }

func storyRun(from, next int64) ([]byte, record.Span) {
	var lines bytes.Buffer
	span := record.Span{BaseOffset: from, NextOffset: next, LeaderEpoch: 1}
	for offset := from; offset < next; offset++ {
		if !holdsRecord(offset) {
			continue
		}
		fmt.Fprintf(&lines, "{\"offset\":%d}\n", offset)
		at := storyTime(offset).UnixMilli()
		if span.Records == 0 {
			span.FirstTimestamp = at
		}
		span.Records, span.LastTimestamp = span.Records+1, at
	}
	return lines.Bytes(), span
}

func maxTime(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
