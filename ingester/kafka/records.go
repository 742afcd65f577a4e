package kafka

import (
	"encoding/binary"
	"fmt"

	"github.com/logpipeline/logpipeline/ingester/record"
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

// Err is why Next ended early, if it did: a *CorruptError.
func (b *RecordBatch) Err() error { return b.err }

func (b *RecordBatch) read(r *Record) bool {
	f := fields{rest: b.records}
	in := fields{rest: f.take(f.varint())}
	in.take(1) // attributes: none are defined
	timestampDelta := in.varint()
	offset := b.BaseOffset + in.varint()
	key := in.byteString()
	value := in.byteString() // headers follow
	if f.short || in.short || offset <= b.lastOffset || offset >= b.NextOffset {
		b.err = b.corrupt(fmt.Errorf("its record %d is malformed", b.Count-b.left-1))
		return false
	}
	b.records, b.lastOffset = f.rest, offset
	r.Offset, r.Timestamp, r.Key, r.Value, r.headers = offset, b.firstTimestamp+timestampDelta, key, value, in.rest
	if b.logAppendTime {
		r.Timestamp = b.MaxTimestamp
	}
	return true
}

// Headers appends the record's headers to into; their values are valid as long
// as the record's is. The error wraps ErrCorrupt.
func (r *Record) Headers(into []record.Header) ([]record.Header, error) {
	f := fields{rest: r.headers}
	n := f.varint()
	if n < 0 || n > int64(len(f.rest)) {
		f.short, n = true, 0
	}
	for range n {
		key := f.take(f.varint())
		value := f.byteString()
		if f.short {
			break
		}
		into = append(into, record.Header{Key: string(key), Value: value})
	}
	if f.short {
		return into, fmt.Errorf("%w: the headers of the record at offset %d are malformed", ErrCorrupt, r.Offset)
	}
	return into, nil
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

// byteString is a length and as many bytes; null, of length -1, is nil.
func (f *fields) byteString() []byte {
	n := f.varint()
	if n < 0 {
		return nil
	}
	return f.take(n)
}
