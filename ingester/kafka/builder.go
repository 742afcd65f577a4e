package kafka

import (
	"encoding/binary"
	"hash/crc32"
)

// A record batch of format v2 begins with this header; the fields are given by
// where they are. See https://kafka.apache.org/documentation/#recordbatch.
const (
	atBaseOffset      = 0  // int64
	atLength          = 8  // int32: bytes after this field
	atLeaderEpoch     = 12 // int32
	atMagic           = 16 // int8: 2
	atChecksum        = 17 // uint32: CRC-32C of all that follows it
	atAttributes      = 21 // int16
	atLastOffsetDelta = 23 // int32
	atFirstTimestamp  = 27 // int64, milliseconds
	atMaxTimestamp    = 35 // int64, milliseconds
	atProducerID      = 43 // int64
	atProducerEpoch   = 51 // int16
	atSequence        = 53 // int32
	atCount           = 57 // int32
	batchHeader       = 61

	formatV2 = 2

	attributeCodec         = 0x07
	attributeLogAppendTime = 0x08
	attributeTransactional = 0x10
	attributeControl       = 0x20
)

// BatchOverhead is how many bytes a batch takes beside its records.
const BatchOverhead = batchHeader

// MaxRecordOverhead is the most bytes that a record takes in a batch beside
// its value.
const MaxRecordOverhead = 3*binary.MaxVarintLen32 + binary.MaxVarintLen64 + 3

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// BatchBuilder encodes records into one record batch of format v2,
// uncompressed. The zero value is an empty batch. Its buffer is reused after
// Reset; appending a record allocates only to grow it.
type BatchBuilder struct {
	buffer         []byte // header and records
	count          int
	firstTimestamp int64
	maxTimestamp   int64
}

// Reset empties the batch. The bytes that Seal returned are no longer valid.
func (b *BatchBuilder) Reset() {
	b.buffer = b.buffer[:0]
	b.count = 0
}

// Len is the number of records.
func (b *BatchBuilder) Len() int { return b.count }

// Size is the number of bytes of the batch as it would be sealed now.
func (b *BatchBuilder) Size() int { return max(len(b.buffer), batchHeader) }

// Append adds a record without key or headers. The timestamp is in
// milliseconds since the Unix epoch. The value is copied.
func (b *BatchBuilder) Append(timestamp int64, value []byte) {
	if b.count == 0 {
		var header [batchHeader]byte
		b.buffer = append(b.buffer[:0], header[:]...)
		b.firstTimestamp, b.maxTimestamp = timestamp, timestamp
	}
	b.maxTimestamp = max(b.maxTimestamp, timestamp)
	timestampDelta, offsetDelta, length := timestamp-b.firstTimestamp, int64(b.count), int64(len(value))
	size := varintLength(timestampDelta) + varintLength(offsetDelta) + varintLength(length) + len(value) + 3

	buffer := binary.AppendVarint(b.buffer, int64(size))
	buffer = append(buffer, 0) // attributes
	buffer = binary.AppendVarint(buffer, timestampDelta)
	buffer = binary.AppendVarint(buffer, offsetDelta)
	buffer = append(buffer, 1) // key: null (-1)
	buffer = binary.AppendVarint(buffer, length)
	buffer = append(buffer, value...)
	b.buffer = append(buffer, 0) // headers
	b.count++
}

// varintLength is the number of bytes of v as binary.AppendVarint writes it.
func varintLength(v int64) int {
	n := 1
	for u := uint64(v<<1) ^ uint64(v>>63); u >= 0x80; u >>= 7 {
		n++
	}
	return n
}

// Seal writes the header and returns the batch, which must hold at least one
// record. The bytes may be sent any number of times, until Reset, Append or
// another Seal.
func (b *BatchBuilder) Seal(producer ProducerID, sequence int32) []byte {
	h := b.buffer
	be := binary.BigEndian
	be.PutUint64(h[atBaseOffset:], 0)
	be.PutUint32(h[atLength:], uint32(len(h)-atLeaderEpoch))
	be.PutUint32(h[atLeaderEpoch:], 1<<32-1) // the broker fills it in
	h[atMagic] = formatV2
	be.PutUint16(h[atAttributes:], 0)
	be.PutUint32(h[atLastOffsetDelta:], uint32(b.count-1))
	be.PutUint64(h[atFirstTimestamp:], uint64(b.firstTimestamp))
	be.PutUint64(h[atMaxTimestamp:], uint64(b.maxTimestamp))
	be.PutUint64(h[atProducerID:], uint64(producer.ID))
	be.PutUint16(h[atProducerEpoch:], uint16(producer.Epoch))
	be.PutUint32(h[atSequence:], uint32(sequence))
	be.PutUint32(h[atCount:], uint32(b.count))
	be.PutUint32(h[atChecksum:], crc32.Checksum(h[atAttributes:], castagnoli))
	return h
}
