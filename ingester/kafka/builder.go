package kafka

import (
	"encoding/binary"
	"math/bits"
	"slices"

	"github.com/logpipeline/logpipeline/ingester/config"
	"github.com/logpipeline/logpipeline/ingester/record"
)

// MaxRecordOverhead is the most bytes that a record without key and headers
// takes in a batch beside its value.
const MaxRecordOverhead = 3*binary.MaxVarintLen32 + binary.MaxVarintLen64 + 3

// keptBuffer is the largest buffer, in bytes, that a builder keeps for its next
// batch.
const keptBuffer = 4 << 20

// BatchBuilder encodes records into one record batch of format v2. The zero
// value is an empty batch that stays uncompressed. Its buffers are reused after
// Reset, unless an unusually large batch made them; appending a record
// allocates only to grow them. It is for one goroutine at a time.
type BatchBuilder struct {
	records        []byte // room for a header, then the records
	count          int
	firstTimestamp int64
	maxTimestamp   int64

	compressor compressor
	compressed []byte // room for a header, then the compressed records
	packed     bool   // compressed holds what was appended, or is empty because it is no smaller
}

// NewBatchBuilder returns a builder whose batches are compressed with codec;
// empty means none. The level is the codec's own, 0 its default; the error
// names a codec or level that there isn't.
func NewBatchBuilder(codec config.Compression, level int) (*BatchBuilder, error) {
	c, err := newCompressor(codec, level)
	if err != nil {
		return nil, err
	}
	return &BatchBuilder{compressor: c}, nil
}

// Reset empties the batch. The bytes that Seal returned are no longer valid. A
// builder that isn't used again soon should be left like this: it then holds at
// most 4 MiB for records, and as much for what they were compressed to.
func (b *BatchBuilder) Reset() {
	b.records, b.compressed = emptied(b.records), emptied(b.compressed)
	b.count, b.packed = 0, false
}

func emptied(buffer []byte) []byte {
	if cap(buffer) > keptBuffer {
		return nil
	}
	return buffer[:0]
}

// Len is the number of records.
func (b *BatchBuilder) Len() int { return b.count }

// Size is the number of bytes of the batch as it would be without compression.
// Seal returns no more than that.
func (b *BatchBuilder) Size() int { return max(len(b.records), batchHeader) }

// Append adds a record. The timestamp is in milliseconds since the Unix epoch.
// A key that is nil is null, and so is a header's value. Everything is copied.
func (b *BatchBuilder) Append(timestamp int64, key, value []byte, headers []record.Header) {
	if b.count == 0 {
		b.records = slices.Grow(b.records[:0], batchHeader)[:batchHeader]
		b.firstTimestamp, b.maxTimestamp = timestamp, timestamp
	}
	b.maxTimestamp = max(b.maxTimestamp, timestamp)
	timestampDelta, offsetDelta := timestamp-b.firstTimestamp, int64(b.count)
	size := 1 + varintLength(timestampDelta) + varintLength(offsetDelta) +
		byteStringLength(key) + varintLength(int64(len(value))) + len(value) + headersLength(headers)

	buffer := slices.Grow(b.records, size+binary.MaxVarintLen64)
	buffer = binary.AppendVarint(buffer, int64(size))
	buffer = append(buffer, 0) // attributes
	buffer = binary.AppendVarint(buffer, timestampDelta)
	buffer = binary.AppendVarint(buffer, offsetDelta)
	buffer = appendByteString(buffer, key)
	buffer = binary.AppendVarint(buffer, int64(len(value)))
	buffer = append(buffer, value...)
	b.records = appendHeaders(buffer, headers)
	b.count++
	b.packed = false
}

// Seal writes the header and returns the batch, which must hold at least one
// record, compressed unless that makes it no smaller. The bytes may be sent any
// number of times, until Reset, Append or another Seal. Sealed again under
// other numbers, the same records stay the same bytes.
func (b *BatchBuilder) Seal(producer ProducerID, sequence int32) []byte {
	batch, codec := b.records, int8(codecNone)
	if b.compressor.codec != codecNone {
		b.pack()
		if len(b.compressed) > 0 {
			batch, codec = b.compressed, b.compressor.codec
		}
	}
	header{
		codec: codec, count: b.count, firstTimestamp: b.firstTimestamp, maxTimestamp: b.maxTimestamp,
		producer: producer, sequence: sequence,
	}.write(batch)
	return batch
}

// pack compresses the records, unless that is done.
func (b *BatchBuilder) pack() {
	if b.packed {
		return
	}
	b.packed = true
	compressed := slices.Grow(b.compressed[:0], batchHeader)[:batchHeader]
	compressed, err := b.compressor.append(compressed, b.records[batchHeader:])
	if err != nil || len(compressed) >= len(b.records) {
		compressed = compressed[:0] // as they are, they are as good
	}
	b.compressed = compressed
}

// MaxRecordSize is the most bytes that a record takes in a batch.
func MaxRecordSize(key, value []byte, headers []record.Header) int {
	size := MaxRecordOverhead + len(key) + len(value)
	for _, h := range headers {
		size += 2*binary.MaxVarintLen32 + len(h.Key) + len(h.Value)
	}
	return size
}

// varintLength is the number of bytes of v as binary.AppendVarint writes it:
// seven bits a byte.
func varintLength(v int64) int {
	return (bits.Len64(uint64(v<<1)^uint64(v>>63)|1) + 6) / 7
}

// byteStringLength is the number of bytes that appendByteString writes.
func byteStringLength(s []byte) int {
	if s == nil {
		return 1
	}
	return varintLength(int64(len(s))) + len(s)
}

// appendByteString writes a length and the bytes; nil is null, of length -1.
func appendByteString(buffer, s []byte) []byte {
	if s == nil {
		return append(buffer, 1)
	}
	buffer = binary.AppendVarint(buffer, int64(len(s)))
	return append(buffer, s...)
}

func headersLength(headers []record.Header) int {
	size := varintLength(int64(len(headers)))
	for _, h := range headers {
		size += varintLength(int64(len(h.Key))) + len(h.Key) + byteStringLength(h.Value)
	}
	return size
}

func appendHeaders(buffer []byte, headers []record.Header) []byte {
	buffer = binary.AppendVarint(buffer, int64(len(headers)))
	for _, h := range headers {
		buffer = binary.AppendVarint(buffer, int64(len(h.Key)))
		buffer = append(buffer, h.Key...)
		buffer = appendByteString(buffer, h.Value)
	}
	return buffer
}
