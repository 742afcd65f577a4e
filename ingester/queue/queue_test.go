package queue

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/goleak"

	"github.com/logpipeline/logpipeline/ingester/record"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// batchOf returns a batch of n records of 7 bytes, whose reservation is 10
// bytes a record.
func batchOf(t testing.TB, id string, n int) *record.Batch {
	t.Helper()
	b := record.NewBatch(id)
	body := strings.Repeat(`{"a":1}`+"\n", n)
	if err := record.ParseNDJSON(b, []byte(body), record.Limits{MaxRecordBytes: 7, MaxDepth: 1}); err != nil {
		t.Fatal(err)
	}
	b.Reserved = int64(10 * n)
	return b
}

// fill reserves for the batches, and puts them.
func fill(t testing.TB, q *Queue, batches ...*record.Batch) {
	t.Helper()
	for _, b := range batches {
		if err := q.Reserve(b.Reserved); err != nil {
			t.Fatal(err)
		}
		if err := q.Put(b); err != nil {
			t.Fatal(err)
		}
	}
}

func ids(batches []*record.Batch) string {
	var list []string
	for _, b := range batches {
		list = append(list, b.ID)
	}
	return strings.Join(list, " ")
}

// takeAll takes without a delay and without limits.
func takeAll(t *testing.T, q *Queue) string {
	t.Helper()
	batches, err := q.Take(t.Context(), nil, 1<<30, 1<<30, 0)
	if err != nil {
		t.Fatal(err)
	}
	return ids(batches)
}

func TestReserveIsBounded(t *testing.T) {
	reg := prometheus.NewPedanticRegistry()
	q := New(100, reg)
	steps := []struct {
		name string
		do   func() error
		want error
	}{
		{"more than the bound", func() error { return q.Reserve(101) }, record.ErrNeverFits},
		{"the first part", func() error { return q.Reserve(60) }, nil},
		{"more than is left", func() error { return q.Reserve(41) }, record.ErrFull},
		{"all that is left", func() error { return q.Reserve(40) }, nil},
		{"one byte more", func() error { return q.Reserve(1) }, record.ErrFull},
		{"put does not make room", func() error { b := batchOf(t, "a", 4); return errors.Join(q.Put(b), q.Reserve(1)) }, record.ErrFull},
		{"take does not make room", func() error { takeAll(t, q); return q.Reserve(1) }, record.ErrFull},
		{"release makes room", func() error { q.Release(40); return q.Reserve(40) }, nil},
		{"cancel makes room", func() error { q.Cancel(100); return q.Reserve(100) }, nil},
		{"closed", func() error { q.Close(); q.Cancel(100); return q.Reserve(1) }, record.ErrClosed},
	}
	for _, step := range steps {
		if err := step.do(); !errors.Is(err, step.want) {
			t.Fatalf("%s: error is %v, want %v", step.name, err, step.want)
		}
	}
	want := `
# HELP logpipeline_ingester_queue_batches Batches that wait to be taken.
# TYPE logpipeline_ingester_queue_batches gauge
logpipeline_ingester_queue_batches 0
# HELP logpipeline_ingester_queue_bytes Bytes that are reserved: of bodies being read, of queued batches, and of batches not yet acknowledged by Kafka.
# TYPE logpipeline_ingester_queue_bytes gauge
logpipeline_ingester_queue_bytes 0
# HELP logpipeline_ingester_queue_capacity_bytes Bytes that may be reserved at a time.
# TYPE logpipeline_ingester_queue_capacity_bytes gauge
logpipeline_ingester_queue_capacity_bytes 100
# HELP logpipeline_ingester_queue_refused_total Reservations that were refused: the queue was full, closed, or smaller than the reservation (never-fits).
# TYPE logpipeline_ingester_queue_refused_total counter
logpipeline_ingester_queue_refused_total{reason="closed"} 1
logpipeline_ingester_queue_refused_total{reason="full"} 4
logpipeline_ingester_queue_refused_total{reason="never-fits"} 1
`
	if err := testutil.GatherAndCompare(reg, strings.NewReader(want)); err != nil {
		t.Error(err)
	}
}

func TestPutNeedsItsReservation(t *testing.T) {
	q := New(100, prometheus.NewRegistry())
	if err := q.Put(batchOf(t, "a", 1)); err == nil {
		t.Error("a batch without a reservation was put")
	}
	if err := q.Reserve(10); err != nil {
		t.Fatal(err)
	}
	unclaimed := batchOf(t, "b", 1)
	unclaimed.Reserved = 0
	if err := q.Put(unclaimed); err == nil {
		t.Error("a batch that claims no reservation was put")
	}
}

func TestGivingBackTooMuchPanics(t *testing.T) {
	for name, giveBack := range map[string]func(*Queue){
		"cancel":                          func(q *Queue) { q.Cancel(11) },
		"release":                         func(q *Queue) { q.Release(11) },
		"release of what was never put":   func(q *Queue) { q.Release(10) },
		"cancel of a negative size":       func(q *Queue) { q.Cancel(-1) },
		"cancel of what has been put":     func(q *Queue) { fillReserved(q); q.Cancel(1) },
		"release of a negative size":      func(q *Queue) { q.Release(-1) },
		"release twice":                   func(q *Queue) { fillReserved(q); q.Release(10); q.Release(10) },
		"cancel after everything is back": func(q *Queue) { q.Cancel(10); q.Cancel(10) },
	} {
		t.Run(name, func(t *testing.T) {
			q := New(100, prometheus.NewRegistry())
			if err := q.Reserve(10); err != nil {
				t.Fatal(err)
			}
			defer func() {
				if recover() == nil {
					t.Error("the bound was broken silently")
				}
			}()
			giveBack(q)
		})
	}
}

// fillReserved puts a batch for the 10 bytes that are reserved.
func fillReserved(q *Queue) {
	b := record.NewBatch("a")
	b.Reserved = 10
	if err := q.Put(b); err != nil {
		panic(err)
	}
}

func TestOrderIsKeptWhileTheQueueMovesOn(t *testing.T) {
	q := New(1<<20, prometheus.NewRegistry())
	next, taken := 0, 0
	for round := range 200 {
		for range round%7 + 1 {
			fill(t, q, batchOf(t, fmt.Sprint(next), 1))
			next++
		}
		batches, err := q.Take(t.Context(), nil, round%5+1, 1<<20, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, b := range batches {
			if b.ID != fmt.Sprint(taken) {
				t.Fatalf("took batch %s, want %d", b.ID, taken)
			}
			taken++
			q.Release(b.Reserved)
		}
	}
	if left := q.lenLocked(); left != next-taken || cap(q.batches) > 4*next {
		t.Errorf("%d batches are left in a slice of %d, want %d", left, cap(q.batches), next-taken)
	}
}

func TestNothingReservedIsLostWhenTheQueueCloses(t *testing.T) {
	q := New(1000, prometheus.NewRegistry())
	first, late, refused := batchOf(t, "first", 1), batchOf(t, "late", 2), int64(30)
	fill(t, q, first)
	if err := errors.Join(q.Reserve(late.Reserved), q.Reserve(refused)); err != nil {
		t.Fatal(err)
	}
	q.Close()

	var wg sync.WaitGroup
	var got []string
	wg.Go(func() {
		for {
			batches, err := q.Take(context.WithoutCancel(t.Context()), nil, 1, 1, time.Hour)
			if err != nil {
				got = append(got, err.Error())
				return
			}
			got = append(got, ids(batches))
		}
	})
	if err := q.Put(late); err != nil {
		t.Error(err)
	}
	q.Cancel(refused)
	wg.Wait()
	if diff := cmp.Diff([]string{"first", "late", io.EOF.Error()}, got); diff != "" {
		t.Errorf("taken (-want +got):\n%s", diff)
	}
}

// Many writers and takers at once: every batch is taken exactly once, the
// bound holds, and the end reaches every taker.
func TestWritersAndTakersAtOnce(t *testing.T) {
	const writers, each, takers, bound = 8, 500, 3, 400
	q := New(bound, prometheus.NewRegistry())
	var writing, taking sync.WaitGroup
	for w := range writers {
		writing.Go(func() {
			for i := range each {
				b := batchOf(t, fmt.Sprint(w, "/", i), i%3+1)
				for errors.Is(q.Reserve(b.Reserved), record.ErrFull) {
					runtime.Gosched()
				}
				if i%10 == 0 {
					q.Cancel(b.Reserved)
				} else if err := q.Put(b); err != nil {
					t.Error(err)
				}
			}
		})
	}
	var mu sync.Mutex
	seen := map[string]int{}
	for range takers {
		taking.Go(func() {
			var batches []*record.Batch
			var err error
			for {
				batches, err = q.Take(t.Context(), batches[:0], 5, 1<<20, time.Millisecond)
				if err != nil {
					break
				}
				for _, b := range batches {
					mu.Lock()
					seen[b.ID]++
					mu.Unlock()
					q.Release(b.Reserved)
				}
			}
			if err != io.EOF {
				t.Errorf("Take: %v, want io.EOF", err)
			}
		})
	}
	writing.Wait()
	q.Close()
	taking.Wait()
	if want := writers * each * 9 / 10; len(seen) != want {
		t.Errorf("%d batches were taken, want %d", len(seen), want)
	}
	for id, times := range seen {
		if times != 1 {
			t.Errorf("batch %s was taken %d times", id, times)
		}
	}
	if q.unput != 0 || q.put != 0 {
		t.Errorf("%d and %d bytes are still reserved", q.unput, q.put)
	}
}

func BenchmarkReservePutTakeRelease(b *testing.B) {
	q := New(1<<20, prometheus.NewRegistry())
	batch := batchOf(b, "a", 100)
	var into []*record.Batch
	b.ReportAllocs()
	for b.Loop() {
		if err := errors.Join(q.Reserve(batch.Reserved), q.Put(batch)); err != nil {
			b.Fatal(err)
		}
		taken, err := q.Take(b.Context(), into[:0], 100, 1<<20, 0)
		if err != nil {
			b.Fatal(err)
		}
		q.Release(taken[0].Reserved)
		into = taken
	}
}
