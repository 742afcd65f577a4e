package journal

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/logpipeline/logpipeline/ingester/record"
)

// away is a storage that can't be opened until it is back.
func (r *running) away() (back func()) {
	open, gone := r.storer.open, make(chan struct{})
	r.storer.open = func(ctx context.Context, id string, first int64) (Chain, error) {
		select {
		case <-gone:
			return open(ctx, id, first)
		default:
			return nil, errors.New("the storage is away")
		}
	}
	return func() { close(gone) }
}

// A journal begins without its chain only where its own end is beyond doubt.
func TestBeginWithoutTheChain(t *testing.T) {
	for name, tc := range map[string]struct {
		before func(s setting)
		begins bool
	}{
		"a new one":       {func(setting) {}, true},
		"after a stop":    {func(s setting) { r := s.start(t, true); r.take(0, 4, 2); r.stop() }, true},
		"after a crash":   {func(s setting) { r := s.start(t, false); r.take(0, 4, 2); r.crash() }, true},
		"its end is torn": {func(s setting) { r := s.start(t, false); r.take(0, 4, 2); r.crash(); tear(t, s) }, false},
		"of a release that noted nothing": {func(s setting) {
			r := s.start(t, true)
			r.take(0, 4, 2)
			r.stop()
			if err := os.Remove(filepath.Join(s.journalDir, endName)); err != nil {
				t.Fatal(err)
			}
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			s := settings(t)
			tc.before(s)
			r := s.open(t)
			r.away()
			if r.KnowsItsEnd() != tc.begins {
				t.Errorf("knows its end: %v, want %v", r.KnowsItsEnd(), tc.begins)
			}
			if err := r.storer.Open(t.Context()); (err == nil) != tc.begins {
				t.Errorf("opened with %v", err)
			}
			if tc.begins && r.storer.Stopped() == nil {
				t.Error("nothing is said of the storage")
			}
		})
	}
}

// tear appends half of an entry to the newest file.
func tear(t *testing.T, s setting) {
	t.Helper()
	numbers, err := listFiles(s.journalDir)
	if err != nil || len(numbers) == 0 {
		t.Fatal(numbers, err)
	}
	path := filePath(s.journalDir, numbers[len(numbers)-1])
	content, err := os.ReadFile(path)
	if err == nil {
		err = os.WriteFile(path, append(content, content[fileHeaderSize:fileHeaderSize+20]...), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// What was taken before the storage came is stored when it comes; and at the end
// nothing is waited for where nothing is owed.
func TestStorageComesLate(t *testing.T) {
	s := settings(t)
	r := s.start(t, true)
	r.take(0, 4, 2)
	r.stop()
	r = s.open(t)
	back := r.away()
	if err := r.storer.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.cancel = func() {}
	go func() { r.Run(t.Context()); close(r.written) }()
	go func() { r.stored <- r.storer.Run(t.Context()) }()
	r.take(4, 8, 2)
	back()
	eventually(t, "storing", func() bool { return r.storer.Stopped() == nil })
	r.stop()
	s.checkStored(t, linesFrom(0, 8, 2))

	r = s.open(t)
	r.away()
	if err := r.storer.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.queue.Close()
	r.Run(t.Context())
	if err := r.storer.Run(t.Context()); err != nil {
		t.Errorf("ended with %v", err)
	}
}

// hinting is a chain whose hint says that it has been further.
type hinting struct {
	Chain
	hinted int64
}

func (h hinting) HintedOffset() int64 { return h.hinted }

// A chain that has lost links of which the journal knows nothing is left to
// whoever can restore it; the offsets go on behind the hint.
func TestChainThatHasBeenFurther(t *testing.T) {
	s := settings(t)
	r := s.start(t, true)
	r.take(0, 4, 2)
	r.stop()
	damaged := s
	damaged.chain = func(c Chain) Chain { return hinting{c, 50} }
	r = damaged.start(t, true)
	o := r.post(4, 2)
	if o.Err != nil || o.Placements[0].FirstOffset != 50 {
		t.Fatalf("outcome %+v", o)
	}
	eventually(t, "stopped", func() bool { return r.metric("logpipeline_journal_stopped") == 1 })
	if err := r.storer.Stopped(); err == nil || !strings.Contains(err.Error(), "--record-gap --partition 0 --to 50") {
		t.Errorf("it says %v", err)
	}
	r.crash()
	r = s.start(t, true) // the hint is gone
	r.stop()
	got, gaps := s.stored(t)
	if diff := cmp.Diff(linesFrom(0, 5, 2), got); diff != "" {
		t.Errorf("stored (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([][2]int64{{8, 50}}, gaps); diff != "" {
		t.Errorf("gaps (-want +got):\n%s", diff)
	}
}

// A chain that turns out to be ahead of what was taken without it is somebody
// else's, and nothing is taken for stored that isn't.
func TestLateChainThatIsAhead(t *testing.T) {
	s := settings(t)
	r := s.start(t, true)
	r.take(0, 4, 2)
	r.stop()
	old := filepath.Join(t.TempDir(), "old")
	if err := os.CopyFS(old, os.DirFS(s.journalDir)); err != nil {
		t.Fatal(err)
	}
	r = s.start(t, true)
	r.take(4, 8, 2)
	r.stop()
	s.journalDir = old
	r = s.open(t)
	r.away()()
	r.storer.open = func(open OpenChain) OpenChain {
		first := true
		return func(ctx context.Context, id string, offset int64) (Chain, error) {
			if first {
				first = false
				return nil, errors.New("the storage is away")
			}
			return open(ctx, id, offset)
		}
	}(r.storer.open)
	if err := r.storer.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- r.storer.Run(ctx) }()
	eventually(t, "stopped", func() bool {
		reason, _ := record.StopReason(r.storer.Stopped())
		return reason == "ChainTaken"
	})
	cancel()
	<-done
	r.queue.Close()
	r.Run(t.Context())
}
