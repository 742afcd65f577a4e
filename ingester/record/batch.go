// Package record is the language that the parts of the data path share: the
// records of one request (Batch), what became of them (Outcome), and the run
// of offsets that a piece of storage stands for (Span). Its parsers turn a
// request's body into a Batch without decoding a record.
package record

import (
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
// producer until it calls Complete.
type Batch struct {
	// ID names the batch in its receipt, in logs and in problems.
	ID string
	// Received is when the request's body had been read; it becomes the
	// Kafka timestamp of every record.
	Received time.Time
	// Reserved is the number of bytes reserved for this batch in the queue;
	// whoever completes the batch gives them back.
	Reserved int64

	buffer  []byte
	spans   []span
	bytes   int64
	outcome chan Outcome
}

type span struct{ start, end int }

const spanBytes = int64(unsafe.Sizeof(span{}))

// NewBatch returns an empty batch that a parser fills.
func NewBatch(id string) *Batch {
	return &Batch{ID: id, outcome: make(chan Outcome, 1)}
}

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

// Complete says what became of the batch. It is called exactly once, and
// never blocks; the batch must not be used by its caller afterwards.
func (b *Batch) Complete(o Outcome) { b.outcome <- o }

// Outcome delivers one value when the batch has been completed.
func (b *Batch) Outcome() <-chan Outcome { return b.outcome }

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
// the body, which is enough for most logs.
func (b *Batch) growIndex(reserve func(bytes int64) error) error {
	capacity := max(2*cap(b.spans), len(b.buffer)/128+1)
	if reserve != nil {
		if err := reserve(int64(capacity) * spanBytes); err != nil {
			return err
		}
	}
	b.spans = append(make([]span, 0, capacity), b.spans...)
	return nil
}
