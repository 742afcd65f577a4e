package journal

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/logpipeline/logpipeline/ingester/record"
)

func TestStoresInOrderAndLeavesNothingBehind(t *testing.T) {
	s := settings(t)
	r := s.start(t, true)
	r.take(0, 50, 3)
	r.stop()
	s.checkStored(t, linesFrom(0, 50, 3))
	if diff := cmp.Diff([]string{"end", "id"}, s.files(t)); diff != "" {
		t.Errorf("left in the journal (-want +got):\n%s", diff)
	}
	r = s.start(t, true)
	r.take(50, 60, 3)
	r.stop()
	s.checkStored(t, linesFrom(0, 60, 3))
}

// What was acknowledged before a crash is stored by the next start, where its
// receipt said, however much of it had been stored before.
func TestCrashes(t *testing.T) {
	s := settings(t)
	want := map[int64][]string{}
	for round := range 6 {
		r := s.start(t, round != 1) // one round stores nothing
		for first, lines := range r.all(200*round, 200*(round+1), 16) {
			if want[first] != nil {
				t.Errorf("offset %d was given twice", first)
			}
			want[first] = lines
		}
		r.crash()
	}
	s.start(t, true).stop()
	got, gaps := s.stored(t)
	if gaps != nil || len(want) != 1200 {
		t.Errorf("gaps %v; %d batches were taken", gaps, len(want))
	}
	for first, lines := range want {
		if diff := cmp.Diff(lines, got[first:first+int64(len(lines))]); diff != "" {
			t.Fatalf("at offset %d (-want +got):\n%s", first, diff)
		}
		delete(want, first)
	}
	if total := 6 * 40 * (1 + 2 + 3 + 4 + 5); len(got) != total {
		t.Errorf("%d records are stored, want %d", len(got), total)
	}
}

func TestRecordsLargerThanAWindow(t *testing.T) {
	s := settings(t)
	s.segment.MaxBytes = 1 << 20
	var want []string
	r := s.start(t, false)
	for _, size := range []int{10, windowSize - 60, windowSize, 3*windowSize + 5, 20} {
		lines := []string{`{"a":1}`, fmt.Sprintf(`{"text":%q}`, strings.Repeat("y", size)), `{"b":2}`}
		b := record.NewBatch("large")
		if err := record.ParseNDJSON(b, []byte(strings.Join(lines, "\n")), record.Limits{MaxRecordBytes: 64 << 20, MaxDepth: 2}); err != nil {
			t.Fatal(err)
		}
		if o := r.put(b, at(0)); o.Err != nil {
			t.Fatal(o.Err)
		}
		want = append(want, lines...)
	}
	r.crash()
	s.start(t, true).stop()
	s.checkStored(t, want)
}

// A chain that ends within an entry gets the rest of it.
func TestLinesFromWithinAnEntry(t *testing.T) {
	s := settings(t)
	r := s.start(t, false)
	r.take(0, 1, 10)
	r.crash()
	r = s.open(t)
	f, more, _, err := (&cursor{journal: r.Journal}).next(7)
	if err != nil || !more {
		t.Fatal(more, err)
	}
	var got []record.Span
	var lines string
	err = f.lines(7, func(l []byte, span record.Span) error {
		got, lines = append(got, span), lines+string(l)
		return nil
	})
	want := []record.Span{{BaseOffset: 7, NextOffset: 10, Records: 3, FirstTimestamp: at(0).UnixMilli(), LastTimestamp: at(0).UnixMilli(), LeaderEpoch: -1}}
	if diff := cmp.Diff(want, got); diff != "" || err != nil || lines != strings.Join(linesFrom(0, 1, 10)[7:], "\n")+"\n" {
		t.Errorf("%v: lines %q, spans (-want +got):\n%s", err, lines, diff)
	}
	f.reader.file.(*os.File).Close()
}

// A file whose fsync fails is given up, and what was refused is void, though it
// stands there.
func TestFailedWrites(t *testing.T) {
	for name, tc := range map[string]struct {
		file    func(t *testing.T, a *appender) *os.File
		broken  bool // no other file can be made
		problem error
	}{
		"a sync that fails":          {func(t *testing.T, _ *appender) *os.File { return open(t, "/dev/null", os.O_RDWR) }, false, record.ErrNotDelivered},
		"a write that fails":         {func(t *testing.T, a *appender) *os.File { return open(t, a.file.Name(), os.O_RDONLY) }, false, record.ErrNotDelivered},
		"and no other can be made":   {func(t *testing.T, a *appender) *os.File { return open(t, a.file.Name(), os.O_RDONLY) }, true, record.ErrOutcomeUnknown},
		"a file without any room":    {func(t *testing.T, _ *appender) *os.File { return open(t, "/dev/full", os.O_RDWR) }, false, record.ErrSpoolFull},
		"without room, and no other": {func(t *testing.T, _ *appender) *os.File { return open(t, "/dev/full", os.O_RDWR) }, true, record.ErrOutcomeUnknown},
	} {
		t.Run(name, func(t *testing.T) {
			s := settings(t)
			r := s.start(t, false)
			r.take(0, 3, 2)
			r.log.file.Close()
			r.log.file = tc.file(t, &r.log)
			if tc.broken {
				r.log.dir = filepath.Join(s.journalDir, "nowhere")
			}
			if o := r.post(100, 2); !errors.Is(o.Err, tc.problem) {
				t.Errorf("outcome %v, want %v", o.Err, tc.problem)
			}
			r.log.dir = s.journalDir
			r.take(3, 6, 2)
			r.crash()
			s.start(t, true).stop()
			s.checkStored(t, linesFrom(0, 6, 2))
		})
	}
}

func open(t *testing.T, name string, flag int) *os.File {
	t.Helper()
	f, err := os.OpenFile(name, flag, 0)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// flaky fails now and then, before or after it has done what it was asked for.
type flaky struct {
	Chain
	random *rand.Rand
}

var errFlaky = errors.New("now and then")

func (f *flaky) fails() error {
	if f.random.IntN(80) == 0 {
		return errFlaky
	}
	return nil
}

func (f *flaky) Append(lines []byte, span record.Span) error {
	if err := f.fails(); err != nil {
		return err
	}
	return f.Chain.Append(lines, span)
}

func (f *flaky) Seal(ctx context.Context) (bool, error) {
	if err := f.fails(); err != nil {
		return false, err
	}
	sealed, err := f.Chain.Seal(ctx)
	return sealed, errors.Join(err, f.fails())
}

func TestStorageThatFailsNowAndThen(t *testing.T) {
	s := settings(t)
	random := rand.New(rand.NewPCG(1, 2))
	s.chain = func(c Chain) Chain { return &flaky{c, random} }
	r := s.start(t, true)
	r.take(0, 200, 3)
	r.stop()
	s.checkStored(t, linesFrom(0, 200, 3))
}

// A batch that the journal will never have room for is told so.
func TestBatchLargerThanTheJournal(t *testing.T) {
	s := settings(t)
	s.maxBytes = 8 << 10
	r := s.start(t, true)
	if o := r.post(0, 200); !errors.Is(o.Err, record.ErrTooLarge) {
		t.Errorf("refused with %v", o.Err)
	}
	for n := range 100 {
		eventually(t, "taking the others", func() bool { return r.post(n, 10).Err == nil })
	}
	r.stop()
	s.checkStored(t, linesFrom(0, 100, 10))
}

// While nothing can be stored the journal fills up to its bound, and no
// further; once something can, it takes batches again.
func TestFullJournal(t *testing.T) {
	s := settings(t)
	s.maxBytes = 64 << 10
	fail := make(chan struct{})
	s.chain = func(c Chain) Chain { return &blocked{c, fail} }
	r := s.start(t, true)
	n := 0
	for ; ; n++ {
		o := r.post(n, 3)
		if o.Err != nil {
			if !errors.Is(o.Err, record.ErrSpoolFull) || !strings.Contains(o.Err.Error(), "direct.journalMaxBytes") {
				t.Errorf("refused with %v", o.Err)
			}
			break
		}
	}
	if size := dirSize(t, s.journalDir); size > s.maxBytes || size < s.maxBytes/2 {
		t.Errorf("the full journal has %d bytes, of %d", size, s.maxBytes)
	}
	close(fail)
	eventually(t, "taking batches again", func() bool { return r.post(n, 3).Err == nil })
	r.stop()
	s.checkStored(t, linesFrom(0, n+1, 3))
}

// At the end of the drain's time the rest stays in the journal, and is said so.
func TestStopWhileNothingCanBeStored(t *testing.T) {
	s := settings(t)
	never := s
	never.chain = func(c Chain) Chain { return &blocked{c, make(chan struct{})} }
	r := never.start(t, true)
	r.take(0, 5, 2)
	r.queue.Close()
	<-r.written
	r.cancel()
	err := <-r.stored
	r.stored <- nil
	if err == nil || !strings.Contains(err.Error(), "10 records stay in it, and the next start stores them") {
		t.Errorf("ended with %v", err)
	}
	s.start(t, true).stop()
	s.checkStored(t, linesFrom(0, 5, 2))
}

// blocked fails until a channel is closed.
type blocked struct {
	Chain
	until <-chan struct{}
}

func (b *blocked) Append(lines []byte, span record.Span) error {
	select {
	case <-b.until:
		return b.Chain.Append(lines, span)
	default:
		return errFlaky
	}
}

func dirSize(t *testing.T, dir string) (size int64) {
	t.Helper()
	err := filepath.Walk(dir, func(_ string, info os.FileInfo, err error) error {
		if err == nil && info.Mode().IsRegular() {
			size += info.Size()
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return size
}

// Somebody runs a copy of the directory: the journal keeps what it has.
func TestChainTakenByACopy(t *testing.T) {
	s := settings(t)
	s.start(t, true).stop() // makes the id
	copied := s
	copied.journalDir = filepath.Join(t.TempDir(), "journal")
	if err := os.CopyFS(copied.journalDir, os.DirFS(s.journalDir)); err != nil {
		t.Fatal(err)
	}
	s.segment.MaxBytes = 64 << 10
	r := s.start(t, true)
	r.take(0, 3, 2)
	c := copied.start(t, true)
	c.take(0, 2, 2)
	c.stop()
	r.queue.Close()
	var taken *takenError
	if err := <-r.stored; !errors.As(err, &taken) || taken.offset != 6 {
		t.Errorf("ended with %v", err)
	}
	r.stored <- nil
	if r.storer.Stopped() == nil || r.metric("logpipeline_journal_stopped") != 1 || r.metric("logpipeline_journal_unsealed_records") != 6 {
		t.Errorf("stopped: %v; %v records are unsealed", r.storer.Stopped(), r.metric("logpipeline_journal_unsealed_records"))
	}
}
