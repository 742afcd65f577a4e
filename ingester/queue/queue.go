// Package queue holds the batches that wait for Kafka, bounded in bytes.
//
// Bytes are reserved before they are read: whoever wants to put a batch first
// reserves what the batch will hold in memory, and only then reads it. So the
// bound covers bodies that are still being read, batches in the queue, and
// batches that were taken and whose buffers are not yet free:
//
//	Reserve ──> Put ──> Take ──> Release     the way of a batch
//	        └─> Cancel                       the body was refused
//
// They are reserved in accounts, one for each connection, among which the room
// is divided: one that takes all it can get leaves some to newcomers.
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
	wake   chan struct{}
	timers sync.Pool // *time.Timer at rest

	mu      sync.Mutex
	closed  bool
	over    bool  // nothing is put any more, whoever holds a reservation
	unput   int64 // reserved bytes that may still be put
	put     int64 // reserved bytes of batches that were put and not released
	drained drainRate
	batches []*record.Batch
	head    int // index in batches of the batch that is taken next
}

// New returns an empty queue in which at most maxBytes are reserved at a time,
// by all accounts together.
func New(maxBytes int64, reg prometheus.Registerer) *Queue {
	q := &Queue{maxBytes: maxBytes, wake: make(chan struct{}, 1)}
	q.metrics = newMetrics(q, reg)
	return q
}

// MaxBytes is how many bytes one account can hold at most, which it gets while
// no other holds anything: 8/9 of the queue's bound.
func (q *Queue) MaxBytes() int64 { return fairness * q.maxBytes / (fairness + 1) }

// Put appends a batch, for which b.Reserved bytes are reserved in b.Account, and
// hands it over to whoever takes it. A reservation that was granted before
// Close may still be put after it, but not after CloseNow: record.ErrClosed.
// The only other error is a batch without its reservation.
func (q *Queue) Put(b *record.Batch) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	err := q.addLocked(b)
	q.signalLocked()
	return err
}

// Add is Put, but wakes nobody who waits for a batch: Wake has to follow. In
// between whoever put it can do what is more urgent than that it is taken.
func (q *Queue) Add(b *record.Batch) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.addLocked(b)
}

// Wake wakes somebody who waits for a batch, if there is one in the queue.
func (q *Queue) Wake() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.signalLocked()
}

func (q *Queue) addLocked(b *record.Batch) error {
	a, ours := b.Account.(*account)
	switch {
	case !ours || a.queue != q:
		return fmt.Errorf("put batch %s: its account is not of this queue", b.ID)
	case b.Reserved <= 0 || b.Reserved > a.unput:
		return fmt.Errorf("put batch %s: it claims %d reserved bytes, but %d are reserved", b.ID, b.Reserved, a.unput)
	case q.over:
		return fmt.Errorf("put batch %s: %w", b.ID, record.ErrClosed)
	}
	if q.put == 0 {
		q.drained.start()
	}
	a.unput -= b.Reserved
	a.put += b.Reserved
	q.unput -= b.Reserved
	q.put += b.Reserved
	q.pushLocked(b)
	return nil
}

// Close refuses every later reservation. What is in the queue, and what is
// reserved and still put, can be taken; after that Take returns io.EOF.
func (q *Queue) Close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	q.signalLocked()
}

// CloseNow is Close at a deadline: what is reserved can't be put any more, so
// that whoever empties the queue after it leaves nothing behind that a client
// would take for accepted.
func (q *Queue) CloseNow() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed, q.over = true, true
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
	return q.closed && (q.over || q.unput == 0) && q.lenLocked() == 0
}

func (q *Queue) lenLocked() int { return len(q.batches) - q.head }

func (q *Queue) freeLocked() int64 { return q.maxBytes - q.unput - q.put }

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
