package queue

import (
	"context"
	"errors"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/logpipeline/logpipeline/ingester/record"
)

func TestTakeKeepsItsLimits(t *testing.T) {
	tests := []struct {
		name       string
		sizes      []int // records of the batches a, b, c ...
		maxRecords int
		maxBytes   int64
		want       string
	}{
		{"all fit", []int{1, 2, 3}, 100, 1000, "a b c"},
		{"records are exactly reached", []int{1, 2, 3}, 3, 1000, "a b"},
		{"the next exceeds the records", []int{1, 2, 3}, 5, 1000, "a b"},
		{"bytes are exactly reached", []int{1, 2, 3}, 100, 21, "a b"},
		{"the next exceeds the bytes", []int{1, 2, 3}, 100, 41, "a b"},
		{"the first alone exceeds the records", []int{9, 1}, 5, 1000, "a"},
		{"the first alone exceeds the bytes", []int{9, 1}, 100, 10, "a"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				q := New(1000, prometheus.NewRegistry())
				for i, n := range tt.sizes {
					fill(t, q, batchOf(t, string(rune('a'+i)), n))
				}
				started := time.Now()
				got, err := q.Take(t.Context(), nil, tt.maxRecords, tt.maxBytes, time.Minute, nil)
				if err != nil || ids(got) != tt.want {
					t.Errorf("took %q, error %v, want %q", ids(got), err, tt.want)
				}
				full := tt.name != "all fit"
				if waited := time.Since(started); full != (waited == 0) {
					t.Errorf("waited %v", waited)
				}
			})
		})
	}
}

func TestTakeAppends(t *testing.T) {
	q := New(1000, prometheus.NewRegistry())
	fill(t, q, batchOf(t, "b", 5))
	got, err := q.Take(t.Context(), []*record.Batch{batchOf(t, "a", 9)}, 5, 1000, 0, nil)
	if err != nil || ids(got) != "a b" {
		t.Errorf("took %q, error %v", ids(got), err)
	}
}

// What happens, at which second after the call of Take, and when and with
// what Take then returns.
func TestTakeWaits(t *testing.T) {
	tests := []struct {
		name   string
		events map[int]func(t *testing.T, q *Queue, cancel context.CancelFunc)
		want   string
		err    error
		after  int
	}{
		{
			name: "for the first, and then the whole delay",
			events: map[int]func(*testing.T, *Queue, context.CancelFunc){
				100: func(t *testing.T, q *Queue, _ context.CancelFunc) { fill(t, q, batchOf(t, "a", 1)) },
				105: func(t *testing.T, q *Queue, _ context.CancelFunc) { fill(t, q, batchOf(t, "b", 1)) },
				111: func(t *testing.T, q *Queue, _ context.CancelFunc) { fill(t, q, batchOf(t, "c", 1)) },
			},
			want: "a b", after: 110,
		},
		{
			name: "no longer than until a limit is reached",
			events: map[int]func(*testing.T, *Queue, context.CancelFunc){
				1: func(t *testing.T, q *Queue, _ context.CancelFunc) { fill(t, q, batchOf(t, "a", 4)) },
				3: func(t *testing.T, q *Queue, _ context.CancelFunc) { fill(t, q, batchOf(t, "b", 6)) },
			},
			want: "a b", after: 3,
		},
		{
			name: "no longer than until the next does not fit",
			events: map[int]func(*testing.T, *Queue, context.CancelFunc){
				1: func(t *testing.T, q *Queue, _ context.CancelFunc) { fill(t, q, batchOf(t, "a", 4)) },
				3: func(t *testing.T, q *Queue, _ context.CancelFunc) { fill(t, q, batchOf(t, "b", 7)) },
			},
			want: "a", after: 3,
		},
		{
			name: "no longer than the context, with nothing",
			events: map[int]func(*testing.T, *Queue, context.CancelFunc){
				7: func(_ *testing.T, _ *Queue, cancel context.CancelFunc) { cancel() },
			},
			err: context.Canceled, after: 7,
		},
		{
			name: "no longer than the context, and returns what it has",
			events: map[int]func(*testing.T, *Queue, context.CancelFunc){
				1: func(t *testing.T, q *Queue, _ context.CancelFunc) { fill(t, q, batchOf(t, "a", 1)) },
				2: func(_ *testing.T, _ *Queue, cancel context.CancelFunc) { cancel() },
			},
			want: "a", after: 2,
		},
		{
			name: "no longer than until the queue has ended",
			events: map[int]func(*testing.T, *Queue, context.CancelFunc){
				1: func(t *testing.T, q *Queue, _ context.CancelFunc) { fill(t, q, batchOf(t, "a", 1)) },
				4: func(_ *testing.T, q *Queue, _ context.CancelFunc) { q.Close() },
			},
			want: "a", after: 4,
		},
		{
			name: "for the end, until the last reservation is given back",
			events: map[int]func(*testing.T, *Queue, context.CancelFunc){
				1: func(t *testing.T, q *Queue, _ context.CancelFunc) {
					account := q.NewAccount()
					if err := account.Reserve(10); err != nil {
						t.Error(err)
					}
					time.AfterFunc(8*time.Second, func() { account.Cancel(10) })
				},
				2: func(_ *testing.T, q *Queue, _ context.CancelFunc) { q.Close() },
			},
			err: io.EOF, after: 9,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				q := New(1000, prometheus.NewRegistry())
				for second, event := range tt.events {
					time.AfterFunc(time.Duration(second)*time.Second, func() { event(t, q, cancel) })
				}
				started := time.Now()
				got, err := q.Take(ctx, nil, 10, 1000, 10*time.Second, nil)
				if ids(got) != tt.want || !errors.Is(err, tt.err) {
					t.Errorf("took %q, error %v, want %q, %v", ids(got), err, tt.want, tt.err)
				}
				if after := time.Since(started); after != time.Duration(tt.after)*time.Second {
					t.Errorf("returned after %v, want %d s", after, tt.after)
				}
				time.Sleep(time.Hour) // lets the remaining events happen inside the bubble
			})
		})
	}
}

// One signal may stand for several batches, and for the end: whoever takes
// passes it on.
func TestEveryTakerIsWoken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := New(1000, prometheus.NewRegistry())
		got := make(chan string, 6)
		for range 3 {
			go func() {
				for {
					batches, err := q.Take(t.Context(), nil, 1, 1000, 0, nil)
					if err != nil {
						got <- err.Error()
						return
					}
					got <- ids(batches)
					time.Sleep(time.Second) // is busy with it
				}
			}()
		}
		synctest.Wait()
		fill(t, q, batchOf(t, "a", 1), batchOf(t, "b", 1), batchOf(t, "c", 1))
		synctest.Wait()
		if len(got) != 3 {
			t.Errorf("%d of 3 takers got a batch", len(got))
		}
		time.Sleep(time.Minute) // all of them wait again
		q.Close()
		synctest.Wait()
		if len(got) != 6 {
			t.Errorf("%d of 3 takers saw the end", len(got)-3)
		}
	})
}

func TestTakeOlderTakesOnlyWhatIsOlder(t *testing.T) {
	q := New(1000, prometheus.NewRegistry())
	now := time.Now()
	for i, age := range []time.Duration{3 * time.Second, 2 * time.Second, time.Second} {
		b := batchOf(t, string(rune('a'+i)), 1)
		b.Received = now.Add(-age)
		fill(t, q, b)
	}
	q.Close()
	for _, step := range []struct {
		before time.Duration
		want   string
		err    error
	}{{3 * time.Second, "", nil}, {time.Second, "a b", nil}, {0, "c", io.EOF}, {0, "", io.EOF}} {
		got, err := q.TakeOlder(now.Add(-step.before), nil)
		if ids(got) != step.want || err != step.err {
			t.Errorf("older than %v: took %q, error %v, want %q, %v", step.before, ids(got), err, step.want, step.err)
		}
	}
}

func TestTakeEndsItsWaitInALull(t *testing.T) {
	for name, tc := range map[string]struct {
		lullAfter  time.Duration // less than 0: none
		wantWaited time.Duration
	}{
		"nothing is on its way when the first batch comes": {0, 0},
		"something is answered while more is gathered":     {3 * time.Second, 3 * time.Second},
		"nothing is answered":                              {-1, 10 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				q := New(1000, prometheus.NewRegistry())
				fill(t, q, batchOf(t, "a", 1), batchOf(t, "b", 1))
				lull := make(chan struct{}, 1)
				switch {
				case tc.lullAfter == 0:
					lull <- struct{}{}
				case tc.lullAfter > 0:
					time.AfterFunc(tc.lullAfter, func() { lull <- struct{}{} })
				}
				started := time.Now()
				got, err := q.Take(t.Context(), nil, 100, 1000, 10*time.Second, lull)
				if err != nil || ids(got) != "a b" {
					t.Errorf("took %q, error %v, want %q", ids(got), err, "a b")
				}
				if waited := time.Since(started); waited != tc.wantWaited {
					t.Errorf("waited %v, want %v", waited, tc.wantWaited)
				}
			})
		})
	}
}
