package spool

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"log/slog"

	"github.com/logpipeline/logpipeline/ingester/queue"
	"github.com/logpipeline/logpipeline/ingester/record"
)

func TestAppendedBatchesComeInOrder(t *testing.T) {
	s := start(t, small(t.TempDir()))
	s.append(3, numbersFrom(0, 20)...)
	batches := s.expect(seenAll(t, 3, numbersFrom(0, 20)...)...)
	for i, b := range batches {
		if b.Position != uint64(i+1) {
			t.Fatalf("batch %d stands at position %d", i, b.Position)
		}
	}
	s.deliver(batches...)
	s.flushed()
	if left := s.undone(); left != 0 {
		t.Errorf("%d batches are left", left)
	}
	s.append(3, 20) // begins a new segment, and the full ones go
	if files := segmentFiles(t, s.options.Dir); len(files) > 2 {
		t.Errorf("segments that aren't needed are left: %v", files)
	}
}

func TestNotSettledComesBackAfterARestart(t *testing.T) {
	dir := t.TempDir()
	s := start(t, small(dir))
	s.append(2, numbersFrom(0, 100)...)
	batches := s.take(100)
	s.deliver(batches[3:50]...)
	s.deliver(batches[70])
	s.stop()
	if !strings.Contains(s.said.String(), "the spool keeps batches") || !strings.Contains(s.said.String(), "batches=52") {
		t.Errorf("log doesn't say what is kept: %s", s.said)
	}
	want := append(seenAll(t, 2, numbersFrom(0, 3)...), seenAll(t, 2, numbersFrom(50, 70)...)...)
	want = append(want, seenAll(t, 2, numbersFrom(71, 100)...)...)
	for range 3 { // also when it isn't delivered again
		s = start(t, small(dir))
		s.expect(want...)
		s.expectNothing()
		if n := len(s.reopened); n != 0 {
			t.Errorf("%d record batches were reopened", n)
		}
		if got := testutil.ToFloat64(s.metrics.replayed); got != 52 {
			t.Errorf("%v replayed", got)
		}
		s.stop()
	}
	s = start(t, small(dir))
	s.append(2, 100)
	s.deliver(s.expect(append(want, seenAll(t, 2, 100)...)...)...)
	s.stop()
	s = start(t, small(dir))
	s.expectNothing()
	if files := segmentFiles(t, dir); len(files) != 1 {
		t.Errorf("segments are left: %v", files)
	}
	sound(t, dir)
}

func TestPartlySettledBatchComesBackInParts(t *testing.T) {
	dir := t.TempDir()
	s := start(t, small(dir))
	s.append(10, 0, 1)
	b := s.take(2)[0]
	s.Settle(record.Assignment{Sections: []record.AssignedSection{{Position: b.Position, From: 2, To: 4}}})
	s.Settle(record.Assignment{Sections: []record.AssignedSection{{Position: b.Position, From: 7, To: 8}, {Position: b.Position, From: 3, To: 5}}})
	s.stop()

	watched := newWatchers()
	options := small(dir)
	options.Recover = watched.recover
	s = start(t, options)
	batches := s.expect(seenOf(t, 0, 10, 0, 2), seenOf(t, 0, 10, 5, 7), seenOf(t, 0, 10, 8, 10), seenOf(t, 1, 10, 0, 10))
	if diff := cmp.Diff([]string{"batch-0 10", "batch-1 10"}, watched.recovered()); diff != "" {
		t.Errorf("recovered (-want +got):\n%s", diff)
	}
	for i, b := range []*record.Batch{batches[2], batches[0], batches[1]} {
		if heard := b.Complete(record.Outcome{Placements: []record.Placement{{FirstOffset: int64(b.FirstRecord)}}}); heard {
			t.Errorf("part %d was heard by somebody", i)
		}
	}
	want := map[string][]record.Outcome{"batch-0": {{Placements: []record.Placement{{FirstOffset: 0}, {FirstOffset: 5}, {FirstOffset: 8}}}}}
	if diff := cmp.Diff(want, watched.outcomes()); diff != "" {
		t.Errorf("outcomes (-want +got):\n%s", diff)
	}
	s.deliver(batches...)
	s.stop()
	s = start(t, small(dir))
	s.expectNothing()
}

func TestOpenAssignmentIsReopened(t *testing.T) {
	dir := t.TempDir()
	s := start(t, small(dir))
	s.append(10, numbersFrom(0, 6)...)
	b := s.take(6)
	done := s.assign(s.assignmentOf(b[0]))
	open := s.assignmentOf(b[1], b[2])
	open.Sections = append(open.Sections, record.AssignedSection{Position: b[3].Position, From: 0, To: 4})
	s.assign(open)
	s.Settle(done)
	s.flushed()
	s.stop()

	watched := newWatchers()
	options := small(dir)
	options.Recover = watched.recover
	s = start(t, options)
	reopened := s.reopened
	if len(reopened) != 1 || s.Reopened() != nil {
		t.Fatalf("%d record batches were reopened", len(reopened))
	}
	if diff := cmp.Diff(open, reopened[0].Assignment); diff != "" {
		t.Errorf("assignment (-want +got):\n%s", diff)
	}
	var got []seen
	for _, b := range reopened[0].Batches {
		got = append(got, see(b))
	}
	if diff := cmp.Diff([]seen{seenOf(t, 1, 10, 0, 10), seenOf(t, 2, 10, 0, 10), seenOf(t, 3, 10, 0, 4)}, got); diff != "" {
		t.Errorf("batches (-want +got):\n%s", diff)
	}
	rest := s.expect(seenOf(t, 3, 10, 4, 10), seenOf(t, 4, 10, 0, 10), seenOf(t, 5, 10, 0, 10))
	s.expectNothing()

	s.Settle(open)
	for _, b := range reopened[0].Batches {
		b.Complete(record.Outcome{})
		b.Free()
	}
	s.deliver(rest...)
	s.flushed()
	if n := s.undone(); n != 0 {
		t.Errorf("%d batches are left", n)
	}
	if got := watched.outcomes(); len(got) != 5 || len(got["batch-3"]) != 1 {
		t.Errorf("outcomes: %v", got)
	}
	s.stop()
	s = start(t, small(dir))
	s.expectNothing()
	if n := len(s.reopened); n != 0 {
		t.Errorf("%d record batches were reopened", n)
	}
}

// What ends an assignment, and where its records are then.
func TestEndOfAnAssignment(t *testing.T) {
	for name, test := range map[string]struct {
		then   func(s *running, a record.Assignment)
		reopen []int // sequences
		queue  []seen
	}{
		"nothing":           {func(*running, record.Assignment) {}, []int{1}, nil},
		"all of it settled": {func(s *running, a record.Assignment) { s.Settle(a) }, nil, nil},
		"a part of it settled": {func(s *running, a record.Assignment) {
			a.Sections = []record.AssignedSection{{Position: a.Sections[0].Position, From: 3, To: 4}}
			s.Settle(a)
		}, nil, []seen{seenOf(t, 0, 10, 0, 3), seenOf(t, 0, 10, 4, 10), seenOf(t, 1, 10, 0, 10)}},
		"a part of it assigned anew": {func(s *running, a record.Assignment) {
			a.Sections, a.Sequence = []record.AssignedSection{{Position: a.Sections[0].Position, From: 0, To: 5}}, 50
			s.assign(a)
		}, []int{50}, []seen{seenOf(t, 0, 10, 5, 10), seenOf(t, 1, 10, 0, 10)}},
		"its numbers used for others": {func(s *running, a record.Assignment) {
			a.Sections = []record.AssignedSection{{Position: 3, From: 0, To: 10}}
			s.assign(a)
		}, []int{1}, []seen{seenOf(t, 0, 10, 0, 10), seenOf(t, 1, 10, 0, 10)}},
		"other numbers for others": {func(s *running, a record.Assignment) {
			a.Sections, a.Sequence = []record.AssignedSection{{Position: 3, From: 0, To: 10}}, 50
			s.assign(a)
		}, []int{1, 50}, nil},
		"other records settled": {func(s *running, a record.Assignment) {
			a.Sections = []record.AssignedSection{{Position: 3, From: 0, To: 10}}
			s.Settle(a)
		}, []int{1}, nil},
		"settled twice": {func(s *running, a record.Assignment) { s.Settle(a); s.flushed(); s.Settle(a) }, nil, nil},
		"settled beyond its records": {func(s *running, a record.Assignment) {
			a.Sections = []record.AssignedSection{{Position: 1, From: 0, To: 11}, {Position: 2, From: -1, To: 3}, {Position: 77, From: 0, To: 1}, {Position: 1, From: 5, To: 5}}
			s.Settle(a)
		}, []int{1}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			s := start(t, small(dir))
			s.append(10, 0, 1, 2)
			b := s.take(3)
			test.then(s, s.assign(s.assignmentOf(b[:2]...)))
			s.stop()
			s = start(t, small(dir))
			var sequences []int
			elsewhere := map[uint64]bool{}
			for _, r := range s.reopened {
				sequences = append(sequences, int(r.Assignment.Sequence))
				for _, section := range r.Assignment.Sections {
					elsewhere[section.Position] = true
				}
			}
			if diff := cmp.Diff(test.reopen, sequences); diff != "" {
				t.Errorf("reopened (-want +got):\n%s", diff)
			}
			want := test.queue
			if !elsewhere[3] && name != "other records settled" {
				want = append(want, seenOf(t, 2, 10, 0, 10))
			}
			s.expect(want...)
			s.expectNothing()
		})
	}
}

func TestBeyondTheShareOfMemoryBatchesComeFromTheDisk(t *testing.T) {
	s := startWith(t, small(t.TempDir()), 40<<10)
	const n = 300 // of about 1 KiB of memory each, for a share of 17 KiB
	s.append(10, numbersFrom(0, n)...)
	if queued := testutil.ToFloat64(queueBytes(s)); queued > 20<<10 {
		t.Errorf("%v bytes of memory are taken", queued)
	}
	for from := 0; from < n; from += 5 {
		s.deliver(s.expect(seenAll(t, 10, numbersFrom(from, from+5)...)...)...)
		if from == 150 { // what comes now stays behind
			s.append(10, numbersFrom(n, n+10)...)
		}
	}
	s.deliver(s.expect(seenAll(t, 10, numbersFrom(n, n+10)...)...)...)
	s.expectNothing()
	if got := testutil.ToFloat64(s.metrics.readBack); got < n-30 {
		t.Errorf("%v batches were read back", got)
	}
	s.flushed()
	if n, held := s.undone(), s.held; n != 0 || held != 0 {
		t.Errorf("%d batches are left, %d bytes held", n, held)
	}
	s.append(10, n+10) // and now it is fed at once again
	s.expect(seenAll(t, 10, n+10)...)
	if queued := testutil.ToFloat64(queueBytes(s)); queued > 4<<10 {
		t.Errorf("%v bytes of memory are taken", queued)
	}
}

// queueBytes reads the queue's gauge of reserved bytes.
func queueBytes(s *running) prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "x"}, func() float64 {
		families, err := s.registry.Gather()
		if err != nil {
			s.t.Error(err)
		}
		for _, f := range families {
			if f.GetName() == "logpipeline_ingester_queue_bytes" {
				return f.GetMetric()[0].GetGauge().GetValue()
			}
		}
		s.t.Error("the queue's gauge isn't there")
		return 0
	})
}

func TestWhoeverWaitsGetsTheOutcomeOfWhatCameFromTheDisk(t *testing.T) {
	watched := newWatchers()
	options := small(t.TempDir())
	options.Recover = watched.recover
	s := startWith(t, options, 40<<10)
	s.append(10, numbersFrom(0, 40)...)
	waiting, left := s.reserve(batchOf(t, 40, 10)), s.reserve(batchOf(t, 41, 10))
	waiting.Watcher = watched.watcher("watcher of the one that waits")
	for _, b := range []*record.Batch{waiting, left} {
		if err := s.Append(t.Context(), b); err != nil {
			t.Fatal(err)
		}
	}
	left.Leave()
	for range 40 {
		s.deliver(s.take(1)...)
	}
	batches := s.expect(seenAll(t, 10, 40, 41)...)
	if batches[0] != waiting || batches[1] == left {
		t.Error("the batch that somebody waits for is not itself")
	}
	want := record.Outcome{Placements: []record.Placement{{Topic: "t", FirstOffset: 3}}}
	for _, b := range batches {
		if heard := b.Complete(want); heard != (b == waiting) {
			t.Errorf("batch %s: heard is %v", b.ID, heard)
		}
		b.Free()
	}
	if diff := cmp.Diff(want, <-waiting.Outcome()); diff != "" {
		t.Error(diff)
	}
	got := watched.outcomes()
	if len(got["watcher of the one that waits"]) != 1 || len(got["batch-40"]) != 0 || len(got["batch-41"]) != 1 {
		t.Errorf("outcomes: %v", got)
	}
}

func TestThoseWhoLeftAreForgotten(t *testing.T) {
	options := small(t.TempDir())
	options.segmentBytes = 1 << 20
	s := startWith(t, options, 20<<10)
	for n := range 3000 {
		b := s.reserve(batchOf(t, n, 1))
		if err := s.Append(t.Context(), b); err != nil {
			t.Fatal(err)
		}
		b.Leave()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := len(s.waiting); n > 1024 {
		t.Errorf("%d batches are remembered that nobody waits for", n)
	}
}

func TestAppendGivesUpOnlyWhatIsNotBeingWritten(t *testing.T) {
	reg := prometheus.NewRegistry()
	q := queue.New(testQueueBytes, reg)
	s, err := Open(small(t.TempDir()), q, slog.New(slog.DiscardHandler), reg) // nobody writes
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	b := batchOf(t, 0, 1)
	b.Account, b.Reserved = q.NewAccount(), b.Memory()
	if err := b.Account.Reserve(b.Reserved); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := s.Append(ctx, b); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("error is %v", err)
	}
	b.Account.Cancel(b.Reserved) // it is ours: this panics otherwise
	if len(s.pending) != 0 || s.urgent != 0 || s.admitted != 0 {
		t.Errorf("%d tickets, %d urgent, %d bytes are left", len(s.pending), s.urgent, s.admitted)
	}
}

func TestAppendWhenStopping(t *testing.T) {
	s := start(t, small(t.TempDir()))
	s.append(1, 0)
	s.stop()
	b := s.reserve(batchOf(t, 1, 1))
	if err := s.Append(t.Context(), b); !errors.Is(err, record.ErrClosed) {
		t.Errorf("append: %v", err)
	}
	if err := s.Assign(t.Context(), record.Assignment{}); !errors.Is(err, record.ErrClosed) {
		t.Errorf("assign: %v", err)
	}
}

func TestAssignRefusesRecordsOutsideOfTheSpool(t *testing.T) {
	s := start(t, small(t.TempDir()))
	if err := s.Assign(t.Context(), record.Assignment{Sections: []record.AssignedSection{{Position: 0, From: 0, To: 1}}}); err == nil {
		t.Error("assigned what can't be resent")
	}
}

func TestDrainWaitsUntilAllIsFed(t *testing.T) {
	s := startWith(t, small(t.TempDir()), 40<<10)
	s.append(10, numbersFrom(0, 100)...)
	short, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
	defer cancel()
	if err := s.Drain(short); !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "with 100 batches") {
		t.Errorf("drain while nothing is delivered: %v", err)
	}
	drained := make(chan error, 1)
	go func() { drained <- s.Drain(t.Context()) }()
	for range 100 {
		s.deliver(s.take(1)...)
	}
	if err := <-drained; err != nil {
		t.Error(err)
	}
	s.queue.Close()
	s.stop()
	if strings.Contains(s.said.String(), "keeps batches") {
		t.Errorf("log: %s", s.said)
	}
}

func TestTwoProcessesNeverShareASpool(t *testing.T) {
	dir := t.TempDir()
	s := start(t, small(dir))
	s.append(1, 0)
	_, err := Open(small(dir), s.queue, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	if !errors.Is(err, ErrLocked) || !strings.Contains(err.Error(), "in use by process ") {
		t.Errorf("a second one opened it: %v", err)
	}
	if err := Repair(dir, os.Stderr); !errors.Is(err, ErrLocked) {
		t.Errorf("repair of what is in use: %v", err)
	}
	if report := sound(t, dir); !report.InUse || report.Pending != 1 {
		t.Errorf("report: %+v", report)
	}
	s.stop()
	if report := sound(t, dir); report.InUse {
		t.Error("it is in use by nobody")
	}
	start(t, small(dir))
}

func TestOpenRefuses(t *testing.T) {
	for name, test := range map[string]struct {
		prepare func(dir string) error
		want    string
	}{
		"a newer version": {func(dir string) error {
			b := fileHeader{number: 1, first: 1}.encode()
			b[8]++
			copy(b[12:], crcOf(b[:12]))
			return os.WriteFile(segmentPath(dir, 1), b, 0o600)
		}, "00000000000000000001.segment has format version 3, but this release reads versions up to 2: run the release that wrote it"},
		"a file in its place":               {func(dir string) error { return errors.Join(os.Remove(dir), os.WriteFile(dir, nil, 0o600)) }, "not a directory"},
		"a folder in the place of the lock": {func(dir string) error { return os.Mkdir(filepath.Join(dir, lockName), 0o700) }, "is a directory"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if err := test.prepare(dir); err != nil {
				t.Fatal(err)
			}
			reg := prometheus.NewRegistry()
			_, err := Open(small(dir), queue.New(testQueueBytes, reg), slog.New(slog.DiscardHandler), reg)
			if err == nil || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), dir) {
				t.Errorf("error is %v, want %q", err, test.want)
			}
		})
	}
}
