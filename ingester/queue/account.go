package queue

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/logpipeline/logpipeline/ingester/record"
)

// fairness is how many times the bytes that are left free an account may
// hold. So the bound of each falls as the queue fills, and the last byte is
// never taken by those who have many: "dynamic threshold" in A. K. Choudhury
// and E. L. Hahne, "Dynamic queue length thresholds for shared-memory packet
// switches", IEEE/ACM Transactions on Networking 6 (1998), with its alpha = 8.
// One account alone can hold 8/9 of the queue, two 8/17 each, and n 8/(8n+1).
const fairness = 8

// account is what one connection holds. It needs no closing: once it holds
// nothing the queue knows nothing of it.
type account struct {
	queue *Queue
	quiet bool // refusals are not counted

	// Both are guarded by queue.mu, and are parts of the sums there.
	unput, put int64
}

// NewAccount returns the account of a new connection, which holds nothing. All
// methods of an account may be called from any goroutine.
func (q *Queue) NewAccount() record.Account { return &account{queue: q} }

// NewQuietAccount returns an account of somebody who asks again until there is
// room, and tells nobody: its refusals are not counted.
func (q *Queue) NewQuietAccount() record.Account { return &account{queue: q, quiet: true} }

// Reserve admits n bytes. An account that holds nothing is admitted while
// there is room; one that holds something may hold at most 8 times what is
// free afterwards. Every reservation ends in exactly one of Cancel, and Put
// followed by Release; it may end in parts.
//
// It returns record.ErrFull when there is no room for n bytes at present, or
// no more for this account, record.ErrNeverFits when n is more than
// Queue.MaxBytes, and record.ErrClosed after Queue.Close.
func (a *account) Reserve(n int64) error {
	q := a.queue
	q.mu.Lock()
	defer q.mu.Unlock()
	held, free := a.unput+a.put, q.freeLocked()
	switch {
	case n < 0:
		return fmt.Errorf("reserve %d bytes: not a size", n)
	case q.closed:
		a.countRefusal(q.metrics.closed)
		return fmt.Errorf("reserve %d bytes: %w", n, record.ErrClosed)
	case n > q.MaxBytes():
		a.countRefusal(q.metrics.neverFits)
		return fmt.Errorf("reserve %d bytes: %w, of which one connection gets at most %d bytes", n, record.ErrNeverFits, q.MaxBytes())
	case n > free:
		a.countRefusal(q.metrics.full)
		return fmt.Errorf("reserve %d bytes: %w: %d of %d bytes are reserved", n, record.ErrFull, q.maxBytes-free, q.maxBytes)
	case held > 0 && held+n > fairness*(free-n):
		a.countRefusal(q.metrics.share)
		return fmt.Errorf("reserve %d bytes: %w for this connection: it holds %d bytes, and only %d of %d are free for all", n, record.ErrFull, held, free, q.maxBytes)
	}
	a.unput += n
	q.unput += n
	return nil
}

func (a *account) countRefusal(reason prometheus.Counter) {
	if !a.quiet {
		reason.Inc()
	}
}

// Cancel gives back n reserved bytes that will not be put. It panics when the
// account has reserved less, since the bound would then no longer hold.
func (a *account) Cancel(n int64) {
	q := a.queue
	q.mu.Lock()
	defer q.mu.Unlock()
	if n < 0 || n > a.unput {
		panic(fmt.Sprintf("queue: cancel %d bytes of %d", n, a.unput))
	}
	a.unput -= n
	q.unput -= n
	q.signalLocked()
}

// Release gives back the n bytes of a batch that was put, once its buffer is
// no longer used. It panics when the account has put less.
func (a *account) Release(n int64) {
	q := a.queue
	q.mu.Lock()
	defer q.mu.Unlock()
	if n < 0 || n > a.put {
		panic(fmt.Sprintf("queue: release %d bytes of %d", n, a.put))
	}
	a.put -= n
	q.put -= n
	q.drained.add(n)
}
