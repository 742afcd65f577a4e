package journal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math"

	"github.com/logpipeline/logpipeline/ingester/record"
)

// An entry is one batch. It is, in little endian:
//
//	 0  magic, 4 bytes
//	 4  kind, uint32: 1
//	 8  offset of the first record, uint64
//	16  when the batch was received (Unix, in milliseconds), uint64
//	24  records, uint32, at least 1
//	28  length of the lines, uint32
//	32  checksum of the file's number and of the 32 bytes before
//	36  the lines: each record and a line break
//	 …  checksum of the checksum before and of the lines
//
// The checksums are CRC-32C. That of the header stands alone, so that the
// length of an entry whose lines are damaged can be trusted; it covers the
// number of the file, so that an entry of another file is none of this.
const (
	headerSize  = 36
	trailerSize = 4
	kindBatch   = 1
)

// magic holds two bytes that no record can hold (RFC 8259 forbids control
// characters in JSON, RFC 3629 the byte 0xff in UTF-8): whatever clients send,
// the search for the next entry behind a damage doesn't stop inside of theirs.
var magic = [4]byte{0xff, 'L', 'J', 0x00}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// seedOf is what the checksums of a file's entries begin with.
func seedOf(number uint64) uint32 {
	return crc32.Checksum(binary.LittleEndian.AppendUint64(nil, number), castagnoli)
}

// entry is the header of one batch.
type entry struct {
	first     int64 // offset of its first record
	timestamp int64 // in milliseconds since the Unix epoch
	records   uint32
	length    uint32 // of the lines, in bytes
	checksum  uint32 // of the header
}

func entryOf(b *record.Batch, first int64) entry {
	return entry{first: first, timestamp: b.Received.UnixMilli(), records: uint32(b.Len()), length: uint32(linesOf(b))}
}

// linesOf is the size of the batch's lines, in bytes.
func linesOf(b *record.Batch) int64 { return b.Bytes() + int64(b.Len()) }

// sizeOf is the size of the batch's entry, in bytes.
func sizeOf(b *record.Batch) int64 { return headerSize + linesOf(b) + trailerSize }

// next is the offset behind the last record.
func (e entry) next() int64 { return e.first + int64(e.records) }

// size is that of the whole entry, in bytes.
func (e entry) size() int64 { return headerSize + int64(e.length) + trailerSize }

// span is the run of offsets from first to next of the entry's records.
func (e entry) span(first, next int64) record.Span {
	return record.Span{
		BaseOffset: first, NextOffset: next, Records: next - first,
		FirstTimestamp: e.timestamp, LastTimestamp: e.timestamp, LeaderEpoch: -1,
	}
}

// append appends the header as it stands in the file with that seed. The
// checksum of the lines goes on from the one returned.
func (e entry) append(b []byte, seed uint32) (_ []byte, checksum uint32) {
	from := len(b)
	b = append(b, magic[:]...)
	b = binary.LittleEndian.AppendUint32(b, kindBatch)
	b = binary.LittleEndian.AppendUint64(b, uint64(e.first))
	b = binary.LittleEndian.AppendUint64(b, uint64(e.timestamp))
	b = binary.LittleEndian.AppendUint32(b, e.records)
	b = binary.LittleEndian.AppendUint32(b, e.length)
	checksum = crc32.Update(seed, castagnoli, b[from:])
	return binary.LittleEndian.AppendUint32(b, checksum), checksum
}

var errNoEntry = errors.New("no entry begins here")

// parseEntry reads the first headerSize bytes of b.
func parseEntry(b []byte, seed uint32) (entry, error) {
	if [4]byte(b) != magic {
		return entry{}, errNoEntry
	}
	e := entry{
		first:     int64(binary.LittleEndian.Uint64(b[8:])),
		timestamp: int64(binary.LittleEndian.Uint64(b[16:])),
		records:   binary.LittleEndian.Uint32(b[24:]),
		length:    binary.LittleEndian.Uint32(b[28:]),
		checksum:  binary.LittleEndian.Uint32(b[32:]),
	}
	if e.checksum != crc32.Update(seed, castagnoli, b[:headerSize-4]) {
		return entry{}, errors.New("the checksum of the entry's header is wrong")
	}
	kind := binary.LittleEndian.Uint32(b[4:])
	if kind != kindBatch || e.records == 0 || e.length < 2*e.records || e.first < 0 || e.first > math.MaxInt64-math.MaxUint32 {
		return entry{}, fmt.Errorf("the entry's header can't be understood: kind %d, %d records in %d bytes at offset %d", kind, e.records, e.length, e.first)
	}
	return e, nil
}
