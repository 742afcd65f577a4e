// Package record is the language that the parts of the data path share: the
// records of one request (Batch), what became of them (Outcome), and the run
// of offsets that a piece of storage stands for (Span). Its parsers turn a
// request's body into a Batch without decoding a record.
package record

import (
	"sync/atomic"
	"time"
	"unsafe"
)

// Overhead is what a batch costs in memory, in bytes, beside its body and the
// index of its records, rounded up. It belongs into every reservation, or
// many small batches would outgrow a queue that is bounded in bytes.
const Overhead = 512

// Batch is the records of one request on their way to Kafka.
//
// The records are spans of one buffer, so that a batch of any number of
// records costs two allocations. Whoever holds the Batch owns the buffer: the
// HTTP handler until it is put into the queue, then the queue, then the
// producer, which calls Complete and, once nothing reads the buffer any more,
// Free.
type Batch struct {
	// ID names the batch in its receipt, in logs and in problems.
	ID string
	// Received is when the request's body had been read; it becomes the
	// Kafka timestamp of every record.
	Received time.Time
	// Headers travel with every record of the batch.
	Headers []Header
	// IdempotencyKey is what the client named its request, if it did; it
	// travels with the first record.
	IdempotencyKey string
	// Acknowledged is set where the client was sent a receipt before the
	// outcome, or may have been: it relies on the records being delivered.
	Acknowledged bool
	// Account is where Reserved bytes are reserved for this batch.
	Account  Account
	Reserved int64
	// Position is where the batch stands in the spool, and FirstRecord which
	// of that entry's records is its first; Position is 0 outside of a spool.
	Position    uint64
	FirstRecord int
	// Watcher, unless it is nil, is told the outcome, too, whoever else waits.
	Watcher Watcher
	// Buffers, unless it is nil, is where the batch's buffer came from, and
	// where Free puts it.
	Buffers *Buffers

	buffer    []byte
	spans     []span
	bytes     int64
	state     atomic.Int32
	outcome   chan Outcome
	placement [1]Placement
}

// Header is a header of a Kafka record.
type Header struct {
	Key   string
	Value []byte
}

// Account is what one connection holds in the queue, in bytes.
type Account interface {
	// Reserve admits n bytes, or returns ErrFull, ErrClosed or ErrNeverFits.
	// Every reservation ends in exactly one of Cancel and, for a batch that
	// was put, Release; it may end in parts.
	Reserve(n int64) error
	// Cancel gives back n reserved bytes that will not be put.
	Cancel(n int64)
	// Release gives back n bytes of a batch that was put.
	Release(n int64)
}

// Watcher is told what became of a batch.
type Watcher interface {
	// Settled is called once, and must not block.
	Settled(Outcome)
}

// The states of a batch: whether somebody waits for its outcome.
const (
	attended int32 = iota
	unattended
	completed
)

type span struct{ start, end int }

const spanBytes = int64(unsafe.Sizeof(span{}))

// NewBatch returns an empty batch that a parser fills.
func NewBatch(id string) *Batch {
	b := &Batch{ID: id}
	b.ReportTo(make(chan Outcome, 1))
	return b
}

// ReportTo has the outcome delivered to a channel of the caller's, which must be
// empty, and have room for one. It is for a Batch that NewBatch didn't make.
func (b *Batch) ReportTo(outcome chan Outcome) { b.outcome = outcome }

// Len is the number of records.
func (b *Batch) Len() int { return len(b.spans) }

// Bytes is the size of all records together.
func (b *Batch) Bytes() int64 { return b.bytes }

// Memory is what the batch holds, in bytes: its body's buffer, the index of its
// records, and Overhead.
func (b *Batch) Memory() int64 {
	return int64(cap(b.buffer)) + int64(cap(b.spans))*spanBytes + Overhead
}

// Record returns the i-th record: one JSON object on one line, without a
// trailing newline. The slice is valid as long as the batch is, and must not
// be changed.
func (b *Batch) Record(i int) []byte {
	s := b.spans[i]
	return b.buffer[s.start:s.end:s.end]
}

// Placements returns an empty slice to append the placements of the outcome to.
// It has room for the one that a batch mostly has, and may be asked for once.
func (b *Batch) Placements() []Placement { return b.placement[:0] }

// Leave says that nobody waits for the outcome any more, because the client
// was answered, or is gone. It is false when the outcome is there already.
func (b *Batch) Leave() bool { return b.state.CompareAndSwap(attended, unattended) }

// Complete says what became of the batch, once, and never blocks. It reports
// whether somebody waits, who will be told. The buffer is valid until Free.
func (b *Batch) Complete(o Outcome) (heard bool) {
	if b.Watcher != nil {
		b.Watcher.Settled(o)
	}
	if b.state.CompareAndSwap(attended, completed) {
		b.outcome <- o
		return true
	}
	return false
}

// Outcome delivers one value when the batch has been completed, unless Leave
// was called before.
func (b *Batch) Outcome() <-chan Outcome { return b.outcome }

// Free gives the buffer and the reservation back. The batch and its records must
// not be used afterwards: the buffer will soon hold those of another.
func (b *Batch) Free() {
	if b.buffer != nil {
		b.Buffers.Put(b.buffer)
		b.Buffers.putIndex(b.spans)
		b.buffer = nil // so that a record that is read too late is no other's
	}
	if b.Account != nil {
		b.Account.Release(b.Reserved)
	}
}

// add appends the record at buffer[start:end]. Where the index has to grow,
// reserve is asked first; a refusal leaves the batch as it was.
func (b *Batch) add(start, end int, reserve func(bytes int64) error) error {
	if len(b.spans) == cap(b.spans) {
		if err := b.growIndex(reserve); err != nil {
			return err
		}
	}
	b.spans = append(b.spans, span{start, end})
	b.bytes += int64(end - start)
	return nil
}

// growIndex doubles the index, beginning with one entry for each 128 bytes of
// the body's buffer, which is enough for most logs.
func (b *Batch) growIndex(reserve func(bytes int64) error) error {
	capacity := indexCapacity(max(2*cap(b.spans), cap(b.buffer)/128+1))
	if reserve != nil {
		if err := reserve(int64(capacity) * spanBytes); err != nil {
			return err
		}
	}
	full := b.spans
	b.spans = append(b.Buffers.getIndex(capacity), full...)
	b.Buffers.putIndex(full)
	return nil
}
