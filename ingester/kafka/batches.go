package kafka

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"math"
	"slices"
)

// BatchReader walks over the record batches of a fetch response:
//
//	reader.Reset(response.Records, offset, response.Aborted)
//	for {
//		batch, err := reader.Next()
//		if err == io.EOF { break }
//		…
//		for batch.Next(&record) { … }
//		if err := batch.Err(); err != nil { … }
//	}
//
// It checks every checksum, decompresses, and passes over what a reader of
// committed records may not see. The zero value is ready for Reset; its
// buffers are reused.
type BatchReader struct {
	// Decompressor, unless it is nil, is used instead of one of the reader's
	// own. Readers may share it, and it may be another one with every batch:
	// what it has decompressed for one is gone with the next.
	Decompressor *Decompressor

	rest    []byte
	from    int64 // records before it are not wanted
	next    int64 // no batch begins before it
	first   bool  // no batch has been read yet
	aborted []AbortedTransaction
	active  []int64 // producers inside an aborted transaction
	batch   RecordBatch
	own     Decompressor
}

// RecordBatch is one record batch. It and what its records hold are valid
// until the reader's next Next or Reset.
type RecordBatch struct {
	BaseOffset int64
	// NextOffset is the offset after the batch. Offsets up to it without a
	// record are done with.
	NextOffset   int64
	LeaderEpoch  int32 // of the leader that appended it, -1 when unknown
	MaxTimestamp int64 // milliseconds since the Unix epoch
	// Count is the number of records in the batch, those before the asked
	// offset included. It is 0 when no record of it may be seen: a control
	// batch, or one of an aborted transaction.
	Count int
	// Producer and Sequence are who wrote it; -1 when the writer isn't
	// idempotent.
	Producer ProducerID
	Sequence int32

	raw            []byte
	from           int64
	firstTimestamp int64
	logAppendTime  bool
	lastOffset     int64
	records        []byte
	left           int
	err            error
}

// Record is one record.
type Record struct {
	Offset    int64
	Timestamp int64  // milliseconds since the Unix epoch
	Key       []byte // nil when null
	Value     []byte // nil when null

	headers []byte // as they are stored, unread
}

// Reset starts over with the records of a fetch that asked for the offset
// from. The bytes must not change while they are read; nothing holds on to them
// after the next Reset.
func (r *BatchReader) Reset(records []byte, from int64, aborted []AbortedTransaction) {
	r.rest, r.from, r.next, r.first = records, from, math.MinInt64, true
	r.aborted = append(r.aborted[:0], aborted...)
	slices.SortFunc(r.aborted, func(a, b AbortedTransaction) int { return cmp.Compare(a.FirstOffset, b.FirstOffset) })
	r.active = r.active[:0]
	r.batch = RecordBatch{}
}

// Forget ends what the last batch is valid for, so that nothing of what was
// decompressed for it is held on to; Next goes on behind it.
func (r *BatchReader) Forget() { r.batch = RecordBatch{} }

// Next returns the next batch that reaches past the asked offset, or io.EOF
// after the last complete one. Any other error wraps ErrCorrupt, and is a
// *CorruptError where it can be told which bytes are the batch's.
func (r *BatchReader) Next() (*RecordBatch, error) {
	raw, err := r.advance()
	if err != nil {
		return nil, err
	}
	if err := r.open(raw); err != nil {
		return nil, r.batch.corrupt(err)
	}
	return &r.batch, nil
}

// NextHeader is Next for who wants to know which batches there are: control
// batches and those of aborted transactions are counted like the others, and
// none yields a record. Nothing is decompressed.
func (r *BatchReader) NextHeader() (*RecordBatch, error) {
	if _, err := r.advance(); err != nil {
		return nil, err
	}
	return &r.batch, nil
}

// advance checks the next batch that reaches past the asked offset and reads
// its header.
func (r *BatchReader) advance() ([]byte, error) {
	for {
		raw, err := r.cut()
		if err != nil {
			return nil, err
		}
		if err := r.batch.parseHeader(raw, r.next); err != nil {
			return nil, &CorruptError{Batch: raw, Offset: r.from, NextOffset: r.follower(), Claimed: -1, Err: err}
		}
		r.next, r.batch.from = r.batch.NextOffset, r.from
		if r.batch.NextOffset <= r.from {
			continue
		}
		be := binary.BigEndian
		if want, got := be.Uint32(raw[atChecksum:]), crc32.Checksum(raw[atAttributes:], castagnoli); want != got {
			return nil, &CorruptError{
				Batch: raw, Offset: max(r.from, r.batch.BaseOffset), NextOffset: r.follower(), Claimed: r.batch.NextOffset,
				Err: fmt.Errorf("checksum is %08x, but its bytes have %08x", want, got),
			}
		}
		return raw, nil
	}
}

// cut takes the next complete batch off the rest.
func (r *BatchReader) cut() ([]byte, error) {
	if len(r.rest) == 0 {
		return nil, io.EOF
	}
	if len(r.rest) > atMagic {
		if magic := r.rest[atMagic]; magic != formatV2 {
			return nil, fmt.Errorf("%w: its format is version %d, but only version 2 (Kafka 0.11 and later) is read", ErrCorrupt, magic)
		}
		size := int64(atLeaderEpoch) + int64(int32(binary.BigEndian.Uint32(r.rest[atLength:])))
		if size < batchHeader {
			return nil, fmt.Errorf("%w: it announces %d bytes", ErrCorrupt, size)
		}
		if size <= int64(len(r.rest)) {
			raw := r.rest[:size]
			r.rest, r.first = r.rest[size:], false
			return raw, nil
		}
	}
	if r.first {
		return nil, fmt.Errorf("%w: the first batch ends after %d bytes", ErrCorrupt, len(r.rest))
	}
	r.rest = nil
	return nil, io.EOF
}

func (b *RecordBatch) parseHeader(raw []byte, earliest int64) error {
	be := binary.BigEndian
	attributes := be.Uint16(raw[atAttributes:])
	base, lastDelta := int64(be.Uint64(raw[atBaseOffset:])), int32(be.Uint32(raw[atLastOffsetDelta:]))
	*b = RecordBatch{
		BaseOffset:     base,
		NextOffset:     base + int64(lastDelta) + 1,
		LeaderEpoch:    int32(be.Uint32(raw[atLeaderEpoch:])),
		MaxTimestamp:   int64(be.Uint64(raw[atMaxTimestamp:])),
		Count:          int(int32(be.Uint32(raw[atCount:]))),
		Producer:       ProducerID{ID: int64(be.Uint64(raw[atProducerID:])), Epoch: int16(be.Uint16(raw[atProducerEpoch:]))},
		Sequence:       int32(be.Uint32(raw[atSequence:])),
		firstTimestamp: int64(be.Uint64(raw[atFirstTimestamp:])),
		logAppendTime:  attributes&attributeLogAppendTime != 0,
		lastOffset:     base - 1,
		raw:            raw,
	}
	if base < 0 || base < earliest || lastDelta < 0 || base > math.MaxInt64-int64(lastDelta)-1 || b.Count < 0 || int64(b.Count) > int64(lastDelta)+1 {
		return fmt.Errorf("base offset %d (after %d), last offset delta %d, %d records", base, earliest, lastDelta, b.Count)
	}
	return nil
}

// open makes the records of a batch readable, if any may be read.
func (r *BatchReader) open(raw []byte) error {
	b := &r.batch
	attributes := binary.BigEndian.Uint16(raw[atAttributes:])
	records := raw[batchHeader:]
	if r.invisible(attributes, records) {
		b.Count = 0
		return nil
	}
	decompressor := &r.own
	if r.Decompressor != nil {
		decompressor = r.Decompressor
	}
	records, err := decompressor.decompress(int8(attributes&attributeCodec), records)
	if err != nil {
		return err
	}
	if int64(b.Count)*minRecordSize > int64(len(records)) {
		return fmt.Errorf("it announces %d records in %d bytes", b.Count, len(records))
	}
	b.records, b.left = records, b.Count
	return nil
}

// invisible says whether the batch holds no record for a reader of committed
// records, and follows the aborted transactions as the protocol has it: one
// begins at its first offset and ends with its producer's abort marker.
func (r *BatchReader) invisible(attributes uint16, records []byte) bool {
	for len(r.aborted) > 0 && r.aborted[0].FirstOffset < r.batch.NextOffset {
		r.active = append(r.active, r.aborted[0].ProducerID)
		r.aborted = r.aborted[1:]
	}
	producer := r.batch.Producer.ID
	if attributes&attributeControl != 0 {
		if isAbortMarker(records) {
			r.active = slices.DeleteFunc(r.active, func(id int64) bool { return id == producer })
		}
		return true
	}
	return attributes&attributeTransactional != 0 && slices.Contains(r.active, producer)
}

// isAbortMarker reads the key of a control record: version int16, type int16,
// of which 0 is abort and 1 is commit.
func isAbortMarker(records []byte) bool {
	f := fields{rest: records}
	f.varint() // length
	f.take(1)  // attributes
	f.varint() // timestamp
	f.varint() // offset
	key := f.take(f.varint())
	return !f.short && len(key) >= 4 && binary.BigEndian.Uint16(key[2:]) == 0
}
