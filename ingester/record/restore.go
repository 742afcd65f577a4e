package record

import "fmt"

// Restore returns a batch of the records that stand one behind the other in
// buffer, each as long as lengths says. It looks into none of them, and takes
// the buffer over. Nobody waits for the outcome of a restored batch.
//
// The error is that lengths and buffer don't agree.
func Restore(id string, buffer []byte, lengths []uint32) (*Batch, error) {
	b := NewBatch(id)
	b.Leave()
	b.buffer, b.bytes = buffer, int64(len(buffer))
	b.spans = make([]span, len(lengths))
	end := 0
	for i, n := range lengths {
		if int64(n) > int64(len(buffer)-end) {
			return nil, fmt.Errorf("restore batch %s: record %d of %d bytes at byte %d goes beyond the %d that there are", id, i, n, end, len(buffer))
		}
		b.spans[i] = span{end, end + int(n)}
		end += int(n)
	}
	if end < len(buffer) {
		return nil, fmt.Errorf("restore batch %s: %d bytes behind its last record", id, len(buffer)-end)
	}
	return b, nil
}

// RestoredMemory is the Memory of a batch that is restored from so many bytes
// and records; never more than it was before, if its buffer is of that size.
func RestoredMemory(bytes, records int64) int64 {
	return bytes + records*spanBytes + Overhead
}

// Attended reports whether somebody still waits for the outcome. Once it is
// false it stays so.
func (b *Batch) Attended() bool { return b.state.Load() == attended }

// Unload lets go of the records, and of their buffer, so that only what waits
// for the outcome remains. The batch has no records until Reload.
func (b *Batch) Unload() {
	b.Buffers.Put(b.buffer)
	b.Buffers.putIndex(b.spans)
	b.Buffers, b.buffer, b.spans, b.bytes = nil, nil, nil, 0
}

// Reload gives an unloaded batch its records back: those of from, which must
// not be used afterwards.
func (b *Batch) Reload(from *Batch) {
	b.buffer, b.spans, b.bytes = from.buffer, from.spans, from.bytes
}
