package queue

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

// The age is that of the batch at the front, and grows while nobody takes it.
func TestUsage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		registry := prometheus.NewRegistry()
		q := New(9000, registry)
		a := q.NewAccount()
		put := func(waited time.Duration) {
			t.Helper()
			if err := a.Reserve(100); err != nil {
				t.Fatal(err)
			}
			b := batchOf(t, "b", 1)
			b.Account, b.Reserved, b.Received = a, 100, time.Now().Add(-waited)
			if err := q.Put(b); err != nil {
				t.Fatal(err)
			}
		}
		takeOne := func() {
			t.Helper()
			if taken, err := q.Take(t.Context(), nil, 1, 1, 0, nil); err != nil || len(taken) != 1 {
				t.Fatal(len(taken), err)
			}
		}
		for _, step := range []struct {
			name   string
			happen func()
			want   Usage
		}{
			{"empty", func() {}, Usage{0, 9000, 0, 0}},
			{"a body is read", func() { _ = a.Reserve(50) }, Usage{50, 9000, 0, 0}},
			{"nobody takes the first batch", func() { put(0); time.Sleep(3 * time.Second) }, Usage{150, 9000, 1, 3 * time.Second}},
			{"nor the second", func() { put(time.Second); time.Sleep(time.Minute) }, Usage{250, 9000, 2, 63 * time.Second}},
			{"the first is taken", takeOne, Usage{250, 9000, 1, 61 * time.Second}},
			{"and released", func() { a.Release(100) }, Usage{150, 9000, 1, 61 * time.Second}},
		} {
			step.happen()
			if got := q.Usage(); got != step.want {
				t.Errorf("%s: %+v, want %+v", step.name, got, step.want)
			}
		}
		if err := testutil.GatherAndCompare(registry, strings.NewReader(`
# HELP logpipeline_ingester_queue_batches Batches that wait to be taken.
# TYPE logpipeline_ingester_queue_batches gauge
logpipeline_ingester_queue_batches 1
# HELP logpipeline_ingester_queue_oldest_batch_seconds Time since the batch was received that has waited longest to be taken; 0 when none waits.
# TYPE logpipeline_ingester_queue_oldest_batch_seconds gauge
logpipeline_ingester_queue_oldest_batch_seconds 61
`), "logpipeline_ingester_queue_batches", "logpipeline_ingester_queue_oldest_batch_seconds"); err != nil {
			t.Error(err)
		}
		takeOne()
		put(-time.Hour) // whose clock was set back
		if got, want := q.Usage(), (Usage{250, 9000, 1, 0}); got != want {
			t.Errorf("received in the future: %+v, want %+v", got, want)
		}
	})
}

func TestQuietAccountsAreRefusedUncounted(t *testing.T) {
	q := New(900, prometheus.NewRegistry())
	quiet := q.NewQuietAccount()
	takeShare(t, quiet)
	for _, n := range []int64{100, 801, 901} {
		if quiet.Reserve(n) == nil {
			t.Fatalf("%d more bytes were granted", n)
		}
	}
	q.Close()
	if quiet.Reserve(1) == nil {
		t.Fatal("a closed queue grants bytes")
	}
	for reason, counter := range map[string]prometheus.Counter{"full": q.metrics.full, "share": q.metrics.share, "closed": q.metrics.closed, "never-fits": q.metrics.neverFits} {
		if n := testutil.ToFloat64(counter); n != 0 {
			t.Errorf("%v refusals are counted as %s", n, reason)
		}
	}
}
