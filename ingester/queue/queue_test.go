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
	"testing/synctest"
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

// fill reserves for the batches, each in an account of its own, and puts them.
func fill(t testing.TB, q *Queue, batches ...*record.Batch) {
	t.Helper()
	for _, b := range batches {
		b.Account = q.NewAccount()
		if err := b.Account.Reserve(b.Reserved); err != nil {
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
	batches, err := q.Take(t.Context(), nil, 1<<30, 1<<30, 0, nil)
	if err != nil {
		t.Fatal(err)
	}
	return ids(batches)
}

func TestReserveIsBounded(t *testing.T) {
	reg := prometheus.NewPedanticRegistry()
	q := New(100, reg)
	one, two, three := q.NewAccount(), q.NewAccount(), q.NewAccount()
	batch := batchOf(t, "a", 4)
	batch.Account = two
	steps := []struct {
		name string
		do   func() error
		want error
	}{
		{"more than an account can hold", func() error { return one.Reserve(89) }, record.ErrNeverFits},
		{"all that an account can hold", func() error { return one.Reserve(88) }, nil},
		{"one byte more", func() error { return one.Reserve(1) }, record.ErrFull},
		{"more than is left", func() error { return two.Reserve(13) }, record.ErrFull},
		{"all that is left", func() error { return two.Reserve(12) }, nil},
		{"a byte of nothing", func() error { return three.Reserve(1) }, record.ErrFull},
		{"cancel makes room", func() error { one.Cancel(88); two.Cancel(12); return two.Reserve(40) }, nil},
		{"put does not make room", func() error { return errors.Join(q.Put(batch), one.Reserve(61)) }, record.ErrFull},
		{"take does not make room", func() error { takeAll(t, q); return one.Reserve(61) }, record.ErrFull},
		{"release makes room", func() error { two.Release(40); return one.Reserve(61) }, nil},
		{"closed", func() error { q.Close(); one.Cancel(61); return one.Reserve(1) }, record.ErrClosed},
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
# HELP logpipeline_ingester_queue_oldest_batch_seconds Time since the batch was received that has waited longest to be taken; 0 when none waits.
# TYPE logpipeline_ingester_queue_oldest_batch_seconds gauge
logpipeline_ingester_queue_oldest_batch_seconds 0
# HELP logpipeline_ingester_queue_refused_total Reservations that were refused: the queue was full, or for this connection (share), closed, or too small for the reservation at any time (never-fits).
# TYPE logpipeline_ingester_queue_refused_total counter
logpipeline_ingester_queue_refused_total{reason="closed"} 1
logpipeline_ingester_queue_refused_total{reason="full"} 4
logpipeline_ingester_queue_refused_total{reason="never-fits"} 1
logpipeline_ingester_queue_refused_total{reason="share"} 1
`
	if err := testutil.GatherAndCompare(reg, strings.NewReader(want)); err != nil {
		t.Error(err)
	}
}

func TestPutNeedsItsReservation(t *testing.T) {
	q := New(100, prometheus.NewRegistry())
	account, other, elsewhere := q.NewAccount(), q.NewAccount(), New(100, prometheus.NewRegistry()).NewAccount()
	if err := errors.Join(account.Reserve(10), elsewhere.Reserve(10)); err != nil {
		t.Fatal(err)
	}
	for name, b := range map[string]struct {
		account  record.Account
		reserved int64
	}{
		"a batch without an account":             {nil, 10},
		"a batch that claims no reservation":     {account, 0},
		"a batch that claims a negative one":     {account, -1},
		"a batch that claims too much":           {account, 11},
		"a batch that claims what another holds": {other, 10},
		"a batch of another queue's account":     {elsewhere, 10},
	} {
		batch := batchOf(t, "a", 1)
		batch.Account, batch.Reserved = b.account, b.reserved
		if err := q.Put(batch); err == nil {
			t.Errorf("%s was put", name)
		}
	}
}

// What is added is taken by who looks, but nobody is woken for it before Wake.
func TestAddWakesNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := New(100, prometheus.NewRegistry())
		b := batchOf(t, "b", 1)
		b.Account = q.NewAccount()
		if err := errors.Join(b.Account.Reserve(b.Reserved), q.Add(b)); err != nil {
			t.Fatal(err)
		}
		if got := takeAll(t, q); got != "b" {
			t.Errorf("took %q", got)
		}
		taken := make(chan string, 1)
		go func() { taken <- takeAll(t, q) }()
		synctest.Wait()
		again := batchOf(t, "again", 1)
		again.Account = q.NewAccount()
		if err := errors.Join(again.Account.Reserve(again.Reserved), q.Add(again)); err != nil {
			t.Fatal(err)
		}
		if synctest.Wait(); len(taken) > 0 {
			t.Error("somebody was woken")
		}
		q.Wake()
		if got := <-taken; got != "again" {
			t.Errorf("took %q", got)
		}
		q.Wake() // for nothing
		q.CloseNow()
		if err := q.Add(batchOf(t, "c", 1)); err == nil {
			t.Error("a batch was added without its reservation")
		}
	})
}

func TestGivingBackTooMuchPanics(t *testing.T) {
	for name, giveBack := range map[string]func(q *Queue, a, other record.Account){
		"cancel":                          func(_ *Queue, a, _ record.Account) { a.Cancel(11) },
		"release":                         func(_ *Queue, a, _ record.Account) { a.Release(11) },
		"release of what was never put":   func(_ *Queue, a, _ record.Account) { a.Release(10) },
		"cancel of a negative size":       func(_ *Queue, a, _ record.Account) { a.Cancel(-1) },
		"cancel of what has been put":     func(q *Queue, a, _ record.Account) { putReserved(q, a); a.Cancel(1) },
		"release of a negative size":      func(_ *Queue, a, _ record.Account) { a.Release(-1) },
		"release twice":                   func(q *Queue, a, _ record.Account) { putReserved(q, a); a.Release(10); a.Release(10) },
		"cancel after everything is back": func(_ *Queue, a, _ record.Account) { a.Cancel(10); a.Cancel(10) },
		"cancel of what another holds":    func(_ *Queue, _, other record.Account) { other.Cancel(10) },
		"release of what another put":     func(q *Queue, a, other record.Account) { putReserved(q, a); other.Release(10) },
	} {
		t.Run(name, func(t *testing.T) {
			q := New(100, prometheus.NewRegistry())
			account := q.NewAccount()
			if err := account.Reserve(10); err != nil {
				t.Fatal(err)
			}
			defer func() {
				if recover() == nil {
					t.Error("the bound was broken silently")
				}
			}()
			giveBack(q, account, q.NewAccount())
		})
	}
}

// putReserved puts a batch for the 10 bytes that are reserved in the account.
func putReserved(q *Queue, a record.Account) {
	b := record.NewBatch("a")
	b.Account, b.Reserved = a, 10
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
		batches, err := q.Take(t.Context(), nil, round%5+1, 1<<20, 0, nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, b := range batches {
			if b.ID != fmt.Sprint(taken) {
				t.Fatalf("took batch %s, want %d", b.ID, taken)
			}
			taken++
			b.Free()
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
	late.Account = q.NewAccount()
	if err := errors.Join(late.Account.Reserve(late.Reserved), late.Account.Reserve(refused)); err != nil {
		t.Fatal(err)
	}
	q.Close()

	var wg sync.WaitGroup
	var got []string
	wg.Go(func() {
		for {
			batches, err := q.Take(context.WithoutCancel(t.Context()), nil, 1, 1, time.Hour, nil)
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
	late.Account.Cancel(refused)
	wg.Wait()
	if diff := cmp.Diff([]string{"first", "late", io.EOF.Error()}, got); diff != "" {
		t.Errorf("taken (-want +got):\n%s", diff)
	}
}

// At the deadline of a drain the queue is emptied once: what is put later would
// be acknowledged, and nobody would see it.
func TestNothingIsPutAfterCloseNow(t *testing.T) {
	q := New(1000, prometheus.NewRegistry())
	first, late := batchOf(t, "first", 1), batchOf(t, "late", 2)
	fill(t, q, first)
	late.Account = q.NewAccount()
	if err := late.Account.Reserve(late.Reserved); err != nil {
		t.Fatal(err)
	}
	q.CloseNow()
	if err := q.Put(late); !errors.Is(err, record.ErrClosed) {
		t.Errorf("put after it: %v, want %v", err, record.ErrClosed)
	}
	if got := takeAll(t, q); got != "first" {
		t.Errorf("took %q, want what was there", got)
	}
	if _, err := q.Take(t.Context(), nil, 1, 1, 0, nil); !errors.Is(err, io.EOF) {
		t.Errorf("take: %v, want the end, whatever is reserved", err)
	}
	late.Account.Cancel(late.Reserved)
}

// Many writers and takers at once: every batch is taken exactly once, the
// bound holds, and the end reaches every taker.
func TestWritersAndTakersAtOnce(t *testing.T) {
	const writers, each, takers, bound = 8, 500, 3, 400
	q := New(bound, prometheus.NewRegistry())
	var writing, taking sync.WaitGroup
	for w := range writers {
		writing.Go(func() {
			account := q.NewAccount()
			for i := range each {
				b := batchOf(t, fmt.Sprint(w, "/", i), i%3+1)
				b.Account = account
				for errors.Is(account.Reserve(b.Reserved), record.ErrFull) {
					runtime.Gosched()
				}
				if i%10 == 0 {
					account.Cancel(b.Reserved)
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
				batches, err = q.Take(t.Context(), batches[:0], 5, 1<<20, time.Millisecond, nil)
				if err != nil {
					break
				}
				for _, b := range batches {
					mu.Lock()
					seen[b.ID]++
					mu.Unlock()
					b.Free()
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
	batch.Account = q.NewAccount()
	var into []*record.Batch
	b.ReportAllocs()
	for b.Loop() {
		if err := errors.Join(batch.Account.Reserve(batch.Reserved), q.Put(batch)); err != nil {
			b.Fatal(err)
		}
		taken, err := q.Take(b.Context(), into[:0], 100, 1<<20, 0, nil)
		if err != nil {
			b.Fatal(err)
		}
		taken[0].Free()
		into = taken
	}
}
