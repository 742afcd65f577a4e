package spool

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
)

// An entry of a segment is, in little endian:
//
//	 0  magic, 4 bytes
//	 4  kind, and 3 bytes that are 0
//	 8  meta length, uint32
//	12  data length, uint32
//	16  records, uint32
//	20  position, uint64
//	28  checksum of the segment's number and of the 28 bytes before
//	32  meta, then data
//	 …  checksum of the checksum before, meta and data
//
// The checksums are CRC-32C. That of the header stands alone, so that the
// length of an entry with a damaged body can be trusted; it covers the
// segment's number, so that an entry of another file is none of this.
const (
	headerSize  = 32
	trailerSize = 4
)

// magic holds two bytes that no record can hold (RFC 8259 forbids control
// characters in JSON, RFC 3629 the byte 0xff in UTF-8): whatever clients send,
// the search for the next entry behind a damage doesn't stop inside of theirs.
var magic = [4]byte{0xff, 'L', 'E', 0x00}

type kind uint8

const (
	// kindData is a batch: meta is dataMeta, data are its records, one behind
	// the other. Positions number these entries, without gaps, from 1 on.
	kindData kind = 1 + iota
	// kindAssign and kindSettle are entries of the journal: meta only. Their
	// position is that of the next data entry.
	kindAssign
	kindSettle
	// kindGap stands where a repair has taken something out; its meta says
	// why, and its position is that of the next data entry that there is.
	kindGap
)

// header is the fixed part of an entry.
type header struct {
	kind       kind
	meta, data uint32 // bytes
	records    uint32
	position   uint64
	checksum   uint32 // as it was read
}

// size is that of the whole entry, in bytes.
func (h header) size() int64 {
	return headerSize + int64(h.meta) + int64(h.data) + trailerSize
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// seedOf is what the checksums of a segment's entries begin with.
func seedOf(segment uint64) uint32 {
	return crc32.Checksum(binary.LittleEndian.AppendUint64(nil, segment), castagnoli)
}

// append appends the header as it stands in the segment with that seed. The
// checksum of the entry goes on from the one returned.
func (h header) append(b []byte, seed uint32) (_ []byte, checksum uint32) {
	b = append(b, magic[:]...)
	b = append(b, byte(h.kind), 0, 0, 0)
	b = binary.LittleEndian.AppendUint32(b, h.meta)
	b = binary.LittleEndian.AppendUint32(b, h.data)
	b = binary.LittleEndian.AppendUint32(b, h.records)
	b = binary.LittleEndian.AppendUint64(b, h.position)
	checksum = crc32.Update(seed, castagnoli, b[len(b)-headerSize+4:])
	return binary.LittleEndian.AppendUint32(b, checksum), checksum
}

var errNoEntry = errors.New("no entry begins here")

// parseHeader reads the first headerSize bytes of b.
func parseHeader(b []byte, seed uint32) (header, error) {
	if [4]byte(b) != magic {
		return header{}, errNoEntry
	}
	h := header{
		kind:     kind(b[4]),
		meta:     binary.LittleEndian.Uint32(b[8:]),
		data:     binary.LittleEndian.Uint32(b[12:]),
		records:  binary.LittleEndian.Uint32(b[16:]),
		position: binary.LittleEndian.Uint64(b[20:]),
		checksum: binary.LittleEndian.Uint32(b[28:]),
	}
	if h.checksum != crc32.Update(seed, castagnoli, b[:headerSize-4]) {
		return header{}, errors.New("the checksum of the entry's header is wrong")
	}
	if h.kind < kindData || h.kind > kindGap {
		return header{}, fmt.Errorf("the entry is of kind %d, which there is not", h.kind)
	}
	return h, nil
}
