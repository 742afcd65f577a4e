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

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// header is what Seal writes before the records.
type header struct {
	codec                        int8
	count                        int
	firstTimestamp, maxTimestamp int64
	producer                     ProducerID
	sequence                     int32
}

// write fills in the header of a batch whose records are in place.
func (h header) write(batch []byte) {
	be := binary.BigEndian
	be.PutUint64(batch[atBaseOffset:], 0)
	be.PutUint32(batch[atLength:], uint32(len(batch)-atLeaderEpoch))
	be.PutUint32(batch[atLeaderEpoch:], 1<<32-1) // the broker fills it in
	batch[atMagic] = formatV2
	be.PutUint16(batch[atAttributes:], uint16(h.codec))
	be.PutUint32(batch[atLastOffsetDelta:], uint32(h.count-1))
	be.PutUint64(batch[atFirstTimestamp:], uint64(h.firstTimestamp))
	be.PutUint64(batch[atMaxTimestamp:], uint64(h.maxTimestamp))
	be.PutUint64(batch[atProducerID:], uint64(h.producer.ID))
	be.PutUint16(batch[atProducerEpoch:], uint16(h.producer.Epoch))
	be.PutUint32(batch[atSequence:], uint32(h.sequence))
	be.PutUint32(batch[atCount:], uint32(h.count))
	be.PutUint32(batch[atChecksum:], crc32.Checksum(batch[atAttributes:], castagnoli))
}
