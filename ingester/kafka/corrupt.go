package kafka

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// ErrCorrupt wraps what is wrong with a record batch: reading it again from
// the same broker won't help.
var ErrCorrupt = errors.New("corrupt record batch")

// CorruptError is ErrCorrupt of a batch that can be told from those around it.
type CorruptError struct {
	// Offset is the first one of the batch that was asked for.
	Offset int64
	// NextOffset is the offset after the batch: as its own header has it, where
	// the checksum holds, or else where the next batch begins; -1 where
	// none follows in what was fetched.
	NextOffset int64
	// Claimed is NextOffset as the header has it, whether or not the checksum
	// holds; -1 where the header is no header.
	Claimed int64
	// Batch is the batch as it is, with its header. It lies in what was
	// fetched.
	Batch []byte
	// Err is what is wrong.
	Err error
}

func (e *CorruptError) Error() string {
	return fmt.Sprintf("%v at offset %d: %v", ErrCorrupt, e.Offset, e.Err)
}

func (e *CorruptError) Unwrap() []error { return []error{ErrCorrupt, e.Err} }

// corrupt is for a batch whose checksum holds.
func (b *RecordBatch) corrupt(err error) error {
	return &CorruptError{Offset: max(b.from, b.BaseOffset), NextOffset: b.NextOffset, Claimed: b.NextOffset, Batch: b.raw, Err: err}
}

// follower is where the batch begins that follows the one just cut off, -1 if
// that can't be told.
func (r *BatchReader) follower() int64 {
	if len(r.rest) <= atMagic || r.rest[atMagic] != formatV2 {
		return -1
	}
	if base := int64(binary.BigEndian.Uint64(r.rest)); base > r.from {
		return base
	}
	return -1
}
