package spool

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/logpipeline/logpipeline/ingester/record"
)

// The meta of an entry is a row of varints (encoding/binary) and of byte
// strings, each behind its length:
//
//	data    received (Unix, in nanoseconds), id, idempotency key,
//	        headers: how many, and of each key, and value length + 1 (0: none) and value,
//	        length of each record,
//	        flags: 1 where the client may hold a receipt (not in format version 1)
//	assign  partition, producer id, epoch, sequence, after, time,
//	        sections: how many, and of each position (its distance from the one
//	        before), first record, how many records
//	settle  sections as those of assign, and of each how many records its entry has
//
// The number of a data entry's records stands in its header.

// dataMeta is what is kept of a batch beside its records.
type dataMeta struct {
	received time.Time
	id, key  string
	headers  []record.Header
	lengths  []uint32 // valid until the next entry is decoded
	// acknowledged is that of the batch; true where that isn't known, for then
	// it is better to deliver twice than not at all.
	acknowledged bool
}

// appendDataHead appends the meta of a data entry up to the lengths.
func appendDataHead(b []byte, batch *record.Batch) []byte {
	b = binary.AppendVarint(b, batch.Received.UnixNano())
	b = appendText(b, batch.ID)
	b = appendText(b, batch.IdempotencyKey)
	b = binary.AppendUvarint(b, uint64(len(batch.Headers)))
	for _, h := range batch.Headers {
		b = appendText(b, h.Key)
		if h.Value == nil {
			b = append(b, 0)
			continue
		}
		b = binary.AppendUvarint(b, uint64(len(h.Value))+1)
		b = append(b, h.Value...)
	}
	return b
}

// flagsSize is how many bytes the meta of a data entry has behind the lengths.
const flagsSize = 1

func appendFlags(b []byte, batch *record.Batch) []byte {
	if batch.Acknowledged {
		return append(b, 1)
	}
	return append(b, 0)
}

// lengthsSize is how many bytes the lengths of the records take.
func lengthsSize(batch *record.Batch) (n int) {
	for i := range batch.Len() {
		n++
		for length := len(batch.Record(i)); length >= 0x80; length >>= 7 {
			n++
		}
	}
	return n
}

func appendText(b []byte, text string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(text))), text...)
}

// settledSection is records of an entry that has so many.
type settledSection struct {
	record.AssignedSection
	records int
}

func appendAssign(b []byte, a record.Assignment) []byte {
	for _, n := range []int64{int64(a.Partition), a.ProducerID, int64(a.ProducerEpoch), int64(a.Sequence), a.After, a.Time.UnixNano()} {
		b = binary.AppendVarint(b, n)
	}
	b = binary.AppendUvarint(b, uint64(len(a.Sections)))
	var before uint64
	for _, s := range a.Sections {
		b = appendSection(b, s, before)
		before = s.Position
	}
	return b
}

func appendSettle(b []byte, sections []settledSection) []byte {
	b = binary.AppendUvarint(b, uint64(len(sections)))
	var before uint64
	for _, s := range sections {
		b = appendSection(b, s.AssignedSection, before)
		b = binary.AppendUvarint(b, uint64(s.records))
		before = s.Position
	}
	return b
}

func appendSection(b []byte, s record.AssignedSection, before uint64) []byte {
	b = binary.AppendVarint(b, int64(s.Position-before))
	b = binary.AppendUvarint(b, uint64(s.From))
	return binary.AppendUvarint(b, uint64(s.To-s.From))
}

// decoder takes values from the front of a meta. The first that isn't there
// makes it fail, and everything after it 0.
type decoder struct {
	rest   []byte
	failed bool
}

func (d *decoder) fail() {
	d.rest, d.failed = nil, true
}

func (d *decoder) uvarint(most uint64) uint64 {
	n, length := binary.Uvarint(d.rest)
	if length <= 0 || n > most {
		d.fail()
		return 0
	}
	d.rest = d.rest[length:]
	return n
}

func (d *decoder) varint(least, most int64) int64 {
	n, length := binary.Varint(d.rest)
	if length <= 0 || n < least || n > most {
		d.fail()
		return 0
	}
	d.rest = d.rest[length:]
	return n
}

func (d *decoder) time() time.Time { return time.Unix(0, d.varint(math.MinInt64, math.MaxInt64)) }

// count is that of things that take at least one byte each.
func (d *decoder) count() int { return int(d.uvarint(uint64(len(d.rest)))) }

func (d *decoder) bytes(n int) []byte {
	if d.failed || n > len(d.rest) {
		d.fail()
		return nil
	}
	b := d.rest[:n]
	d.rest = d.rest[n:]
	return b
}

func (d *decoder) text() string { return string(d.bytes(d.count())) }

func (d *decoder) end() error {
	if d.failed || len(d.rest) > 0 {
		return errors.New("the checksum of the entry is right, but its content can't be understood")
	}
	return nil
}

// decodeData decodes a data entry; lengths is the slice that m.lengths reuses.
func decodeData(meta []byte, h header, lengths []uint32) (m dataMeta, err error) {
	d := decoder{rest: meta}
	m.received, m.id, m.key = d.time(), d.text(), d.text()
	for range d.count() {
		header := record.Header{Key: d.text()}
		if n := d.count(); n > 0 {
			header.Value = slices.Clone(d.bytes(n - 1))
		}
		m.headers = append(m.headers, header)
	}
	m.lengths = lengths[:0]
	left := uint64(h.data)
	for range min(int(h.records), len(d.rest)) {
		n := d.uvarint(left)
		left -= n
		m.lengths = append(m.lengths, uint32(n))
	}
	m.acknowledged = len(d.rest) == 0 || d.uvarint(1) == 1
	if err := d.end(); err != nil {
		return m, err
	}
	if left != 0 || len(m.lengths) != int(h.records) || h.records == 0 {
		return m, fmt.Errorf("the entry's header says %d records of %d bytes, its content %d of %d", h.records, h.data, len(m.lengths), uint64(h.data)-left)
	}
	return m, nil
}

func decodeAssign(meta []byte) (a record.Assignment, err error) {
	d := decoder{rest: meta}
	a.Partition = int32(d.varint(0, math.MaxInt32))
	a.ProducerID = d.varint(math.MinInt64, math.MaxInt64)
	a.ProducerEpoch = int16(d.varint(math.MinInt16, math.MaxInt16))
	a.Sequence = int32(d.varint(math.MinInt32, math.MaxInt32))
	a.After = d.varint(math.MinInt64, math.MaxInt64)
	a.Time = d.time()
	var before uint64
	for range d.count() {
		s := d.section(before)
		a.Sections, before = append(a.Sections, s), s.Position
	}
	return a, d.end()
}

func decodeSettle(meta []byte) (sections []settledSection, err error) {
	d := decoder{rest: meta}
	var before uint64
	for range d.count() {
		s := settledSection{AssignedSection: d.section(before)}
		s.records = int(d.uvarint(math.MaxUint32))
		if s.To > s.records {
			d.fail()
		}
		sections, before = append(sections, s), s.Position
	}
	return sections, d.end()
}

func (d *decoder) section(before uint64) record.AssignedSection {
	s := record.AssignedSection{Position: before + uint64(d.varint(math.MinInt64, math.MaxInt64))}
	s.From = int(d.uvarint(math.MaxUint32))
	s.To = s.From + int(d.uvarint(math.MaxUint32))
	return s
}
