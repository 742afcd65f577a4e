// Package queue holds the batches that wait for Kafka, bounded in bytes.
//
// Bytes are reserved before they are read: whoever wants to put a batch first
// reserves what the batch will hold in memory, and only then reads it. So the
// bound covers bodies that are still being read, batches in the queue, and
// batches that were taken and not yet completed:
//
//	Reserve ──> Put ──> Take ──> Release     the way of a batch
//	        └─> Cancel                       the body was refused
//
// Nobody waits for room: a reservation is granted or refused at once, so that
// two half-read bodies can't wait for each other's bytes.
package queue

import (
	"fmt"
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/logpipeline/logpipeline/ingester/record"
)

// Queue is a first-in first-out queue of batches. It has no goroutine, and no
// cost per record. All methods may be called from any goroutine.
type Queue struct {
	maxBytes int64
	metrics  metrics
	// wake holds a token while there may be something for Take to see: a
	// batch, or the end. A taker that leaves something behind puts the
	// token back for the next.
	wake chan struct{}

	mu      sync.Mutex
	closed  bool
	unput   int64 // reserved bytes that may still be put
	put     int64 // reserved bytes of batches that were put and not released
	batches []*record.Batch
	head    int // index in batches of the batch that is taken next
}

// New returns an empty queue in which at most maxBytes are reserved at a time.
func New(maxBytes int64, reg prometheus.Registerer) *Queue {
	q := &Queue{maxBytes: maxBytes, wake: make(chan struct{}, 1)}
	q.metrics = newMetrics(q, reg)
	return q
}

// MaxBytes is how many bytes may be reserved at a time.
func (q *Queue) MaxBytes() int64 { return q.maxBytes }

// Reserve admits n bytes. Every reservation ends in exactly one of Cancel, and
// Put followed by Release; it may end in parts.
//
// It returns record.ErrFull when there is no room for n bytes at present,
// record.ErrNeverFits when n is larger than the queue's bound, and
// record.ErrClosed after Close.
func (q *Queue) Reserve(n int64) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	switch {
	case n < 0:
		return fmt.Errorf("reserve %d bytes: not a size", n)
	case q.closed:
		q.metrics.closed.Inc()
		return fmt.Errorf("reserve %d bytes: %w", n, record.ErrClosed)
	case n > q.maxBytes:
		q.metrics.neverFits.Inc()
		return fmt.Errorf("reserve %d bytes: %w of %d bytes", n, record.ErrNeverFits, q.maxBytes)
	case n > q.maxBytes-q.unput-q.put:
		q.metrics.full.Inc()
		return fmt.Errorf("reserve %d bytes: %w: %d of %d bytes are reserved", n, record.ErrFull, q.unput+q.put, q.maxBytes)
	}
	q.unput += n
	return nil
}

// Cancel gives back n reserved bytes that will not be put. It panics when so
// many aren't reserved, since the bound would then no longer hold.
func (q *Queue) Cancel(n int64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if n < 0 || n > q.unput {
		panic(fmt.Sprintf("queue: cancel %d bytes of %d", n, q.unput))
	}
	q.unput -= n
	q.signalLocked()
}

// Put appends a batch, for which b.Reserved bytes are reserved, and hands it
// over to whoever takes it. A reservation that was granted before Close may
// still be put after it. The only error is a batch without its reservation.
func (q *Queue) Put(b *record.Batch) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if b.Reserved <= 0 || b.Reserved > q.unput {
		return fmt.Errorf("put batch %s: it claims %d reserved bytes, but %d are reserved", b.ID, b.Reserved, q.unput)
	}
	q.unput -= b.Reserved
	q.put += b.Reserved
	q.pushLocked(b)
	q.signalLocked()
	return nil
}

// Release gives back the n = b.Reserved bytes of a batch that was taken, once
// its buffer is no longer used. It panics when so many weren't put.
func (q *Queue) Release(n int64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if n < 0 || n > q.put {
		panic(fmt.Sprintf("queue: release %d bytes of %d", n, q.put))
	}
	q.put -= n
}

// Close refuses every later reservation. What is in the queue, and what is
// reserved and still put, can be taken; after that Take returns io.EOF.
func (q *Queue) Close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	q.signalLocked()
}

// signalLocked wakes one taker if there is anything to see.
func (q *Queue) signalLocked() {
	if q.lenLocked() == 0 && !q.endedLocked() {
		return
	}
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// endedLocked reports whether no batch can come any more.
func (q *Queue) endedLocked() bool {
	return q.closed && q.unput == 0 && q.lenLocked() == 0
}

func (q *Queue) lenLocked() int { return len(q.batches) - q.head }

// pushLocked appends in amortized constant time: where the slice is full and
// half of it has been taken, the rest moves to the front.
func (q *Queue) pushLocked(b *record.Batch) {
	if len(q.batches) == cap(q.batches) && q.head > 0 && q.head >= q.lenLocked() {
		n := copy(q.batches, q.batches[q.head:])
		clear(q.batches[n:])
		q.batches, q.head = q.batches[:n], 0
	}
	q.batches = append(q.batches, b)
}

func (q *Queue) popLocked() *record.Batch {
	b := q.batches[q.head]
	q.batches[q.head] = nil
	q.head++
	if q.head == len(q.batches) {
		q.batches, q.head = q.batches[:0], 0
	}
	return b
}
