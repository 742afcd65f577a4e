package kafka

import (
	"encoding/binary"
	"fmt"
)

// minRecordSize is the size of a record whose every field takes one byte.
const minRecordSize = 7

// Next reads the next record at or after the asked offset. It is false after
// the last one, or when the batch is corrupt; Err tells.
func (b *RecordBatch) Next(r *Record) bool {
	for b.left > 0 {
		b.left--
		if !b.read(r) {
			b.left = 0
			return false
		}
		if r.Offset >= b.from {
			return true
		}
	}
	return false
}

// Err is why Next ended early, if it did; it wraps ErrCorrupt.
func (b *RecordBatch) Err() error { return b.err }

func (b *RecordBatch) read(r *Record) bool {
	f := fields{rest: b.records}
	record := fields{rest: f.take(f.varint())}
	record.take(1) // attributes: none are defined
	timestampDelta := record.varint()
	offset := b.BaseOffset + record.varint()
	record.take(max(record.varint(), 0)) // key
	length := record.varint()
	value := record.take(max(length, 0)) // headers follow
	if f.short || record.short || offset <= b.lastOffset || offset >= b.NextOffset {
		b.err = fmt.Errorf("%w at offset %d: its record %d is malformed", ErrCorrupt, b.BaseOffset, b.Count-b.left-1)
		return false
	}
	b.records, b.lastOffset = f.rest, offset
	r.Offset, r.Timestamp, r.Value = offset, b.firstTimestamp+timestampDelta, value
	if b.logAppendTime {
		r.Timestamp = b.MaxTimestamp
	}
	if length < 0 {
		r.Value = nil
	}
	return true
}

// fields reads the fields of a record; short is set when one reaches past the
// end.
type fields struct {
	rest  []byte
	short bool
}

func (f *fields) varint() int64 {
	if len(f.rest) > 0 && f.rest[0] < 0x80 { // most are one byte
		v := f.rest[0]
		f.rest = f.rest[1:]
		return int64(v>>1) ^ -int64(v&1)
	}
	v, n := binary.Varint(f.rest)
	if n <= 0 {
		f.short = true
		return 0
	}
	f.rest = f.rest[n:]
	return v
}

func (f *fields) take(n int64) []byte {
	if n < 0 || n > int64(len(f.rest)) {
		f.short = true
		return nil
	}
	taken := f.rest[:n:n]
	f.rest = f.rest[n:]
	return taken
}
