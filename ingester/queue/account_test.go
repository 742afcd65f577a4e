package queue

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/logpipeline/logpipeline/ingester/record"
)

// takeShare reserves byte after byte until the account gets no more.
func takeShare(t *testing.T, a record.Account) int {
	t.Helper()
	for n := 0; ; n++ {
		if err := a.Reserve(1); errors.Is(err, record.ErrFull) {
			return n
		} else if err != nil {
			t.Fatal(err)
		}
	}
}

func TestOneHogLeavesRoomForNewcomers(t *testing.T) {
	q := New(900, prometheus.NewRegistry())
	hog := q.NewAccount()
	if got := takeShare(t, hog); got != 800 {
		t.Errorf("one account got %d of 900 bytes, want 800", got)
	}
	if err := hog.Reserve(1); err == nil || !strings.Contains(err.Error(), "queue is full for this connection: it holds 800 bytes, and only 100 of 900 are free for all") {
		t.Errorf("error is %v", err)
	}
	for n := range 100 {
		if err := q.NewAccount().Reserve(1); err != nil {
			t.Fatalf("newcomer %d is kept out: %v", n, err)
		}
	}
}

// What is put counts like what is being read, until it is released.
func TestQueuedBatchesCountForTheirAccount(t *testing.T) {
	q := New(900, prometheus.NewRegistry())
	hog := q.NewAccount()
	for range 80 {
		if err := hog.Reserve(10); err != nil {
			t.Fatal(err)
		}
		putReserved(q, hog)
	}
	if err := hog.Reserve(1); !errors.Is(err, record.ErrFull) {
		t.Errorf("error is %v, want %v", err, record.ErrFull)
	}
	takeAll(t, q)
	hog.Release(10)
	if err := hog.Reserve(10); err != nil {
		t.Error(err)
	}
}

// Accounts that all want everything get about the same, 8/(8n+1) of the queue,
// once bytes are given back and taken again.
func TestAccountsShareEvenly(t *testing.T) {
	for _, accounts := range []int{2, 5} {
		t.Run(fmt.Sprint(accounts), func(t *testing.T) {
			const bound = 9000
			q := New(bound, prometheus.NewRegistry())
			held := make([]int, accounts)
			list := make([]record.Account, accounts)
			for i := range list {
				list[i] = q.NewAccount()
				held[i] = takeShare(t, list[i]) // the first takes nearly all
			}
			for range 100 {
				for i, a := range list {
					a.Cancel(int64(held[i] / 10))
					held[i] -= held[i] / 10
				}
				for refused := 0; refused < 10*accounts; { // by now everybody has been refused
					if i := rand.IntN(accounts); list[i].Reserve(1) == nil {
						held[i]++
					} else {
						refused++
					}
				}
			}
			want := fairness * bound / (fairness*accounts + 1)
			for i, n := range held {
				if n < want*9/10 || n > want*11/10 {
					t.Errorf("account %d holds %d bytes, want about %d", i, n, want)
				}
			}
		})
	}
}

// However a hog goes about it, a ninth of the queue is there for the others.
func TestHogsAtOnceNeverKeepNewcomersOut(t *testing.T) {
	const bound, newcomers = 9000, 4
	q := New(bound, prometheus.NewRegistry())
	hog := q.NewAccount()
	done := make(chan struct{})
	var hogging, arriving sync.WaitGroup
	for range 4 {
		hogging.Go(func() {
			var held []int64
			for {
				select {
				case <-done:
					for _, n := range held {
						hog.Cancel(n)
					}
					return
				default:
				}
				n := rand.Int64N(q.MaxBytes()) + 1
				if hog.Reserve(n) == nil {
					held = append(held, n)
				} else if len(held) > 0 {
					hog.Cancel(held[0])
					held = held[1:]
				}
				runtime.Gosched()
			}
		})
	}
	for range newcomers {
		arriving.Go(func() {
			for range 2000 {
				a, n := q.NewAccount(), int64(bound/9/newcomers)
				if err := a.Reserve(n); err != nil {
					t.Error(err)
					return
				}
				runtime.Gosched()
				a.Cancel(n)
			}
		})
	}
	arriving.Wait()
	close(done)
	hogging.Wait()
	if free := q.freeLocked(); free != bound {
		t.Errorf("%d of %d bytes are free in the end", free, bound)
	}
}
