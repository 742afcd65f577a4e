package kafka

import (
	"context"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/segmentio/kafka-go/protocol"
)

const (
	fetchVersion = 11
	// A broker returns the first batch whole, however large it is. None is
	// larger than the largest request that a broker takes (100 MiB unless
	// configured otherwise).
	largestBatch = 128 << 20
)

// FetchRequest reads one partition. It may be used again once Fetch has
// returned, and keeps its buffers for that.
type FetchRequest struct {
	Topic     string
	Partition int32
	// Offset is the first one wanted.
	Offset int64
	// LeaderEpoch fences a leader that doesn't know it, or knows a later one;
	// -1 asks any leader.
	LeaderEpoch int32
	// MaxBytes bounds the batches returned, except that the first is always
	// whole.
	MaxBytes int
	// The broker answers when it has MinBytes, at the latest after MaxWait.
	MinBytes int
	MaxWait  time.Duration
	// Uncommitted also asks for what is behind the first open transaction.
	Uncommitted bool
	// Room, unless it is nil, gives the buffer for the response, of n bytes or
	// more, once its size is known and before any of it is read. With nil for a
	// buffer the response is thrown away, its connection with it, and Fetch
	// returns ErrNoRoom. The buffer stays its giver's, and must not change as
	// long as the response's records are read.
	Room func(n int) []byte

	request  request
	response FetchResponse
}

// FetchResponse is what a leader has from an offset on.
type FetchResponse struct {
	HighWatermark    int64
	LastStableOffset int64 // before it, every transaction is decided
	LogStartOffset   int64
	// Aborted are the transactions whose records must be skipped.
	Aborted []AbortedTransaction
	// Records are raw record batches, the last of them perhaps incomplete;
	// read them with a BatchReader.
	Records []byte
}

// LeaderEpoch is that of the leader which appended the first of the records,
// -1 when it is unknown or there are none. (No checksum covers it: leaders set
// it when they append.)
func (f *FetchResponse) LeaderEpoch() int32 {
	if len(f.Records) < atMagic {
		return -1
	}
	return int32(binary.BigEndian.Uint32(f.Records[atLeaderEpoch:]))
}

// FirstTimestamp is that of the first of the records' batches, in milliseconds
// since the Unix epoch, 0 when there are none. It is not checked.
func (f *FetchResponse) FirstTimestamp() int64 {
	if len(f.Records) < batchHeader {
		return 0
	}
	at := atFirstTimestamp
	if binary.BigEndian.Uint16(f.Records[atAttributes:])&attributeLogAppendTime != 0 {
		at = atMaxTimestamp
	}
	return int64(binary.BigEndian.Uint64(f.Records[at:]))
}

// AbortedTransaction is one whose records, from FirstOffset to its abort
// marker, nobody may see.
type AbortedTransaction struct {
	ProducerID  int64
	FirstOffset int64
}

// Fetch reads record batches of one partition from its leader. The
// response is f's: it is valid until f is used again.
//
// The error wraps the code that the leader answered (OffsetOutOfRange,
// UnknownTopic, NotLeader, FencedLeaderEpoch, UnknownLeaderEpoch, …), or is
// ErrUnreachable or ErrNoRoom.
func (c *Client) Fetch(ctx context.Context, f *FetchRequest) (*FetchResponse, error) {
	r := &f.request
	r.topic, r.partition, r.limit = f.Topic, f.Partition, f.MaxBytes+largestBatch
	r.room = f.Room
	if f.Room != nil || cap(r.response) > 2*f.MaxBytes+smallResponse {
		r.response = nil // it is another's, or an unusually large batch came last time
	}
	c.begin(r, protocol.Fetch, fetchVersion, false)
	h := appendInt32(r.head, -1) // no replica
	h = appendInt32(h, int32(min(f.MaxWait, time.Hour).Milliseconds()))
	h = appendInt32(h, int32(f.MinBytes))
	h = appendInt32(h, int32(f.MaxBytes))
	isolation := byte(readCommitted)
	if f.Uncommitted {
		isolation = 0
	}
	h = append(h, isolation)
	h = appendInt32(h, 0)  // no fetch session,
	h = appendInt32(h, -1) // and none wanted
	h = appendInt32(h, 1)  // topics
	h = appendString(h, f.Topic)
	h = appendInt32(h, 1) // partitions
	h = appendInt32(h, f.Partition)
	h = appendInt32(h, f.LeaderEpoch)
	h = appendInt64(h, f.Offset)
	h = appendInt64(h, -1) // a follower's log start
	h = appendInt32(h, int32(f.MaxBytes))
	h = appendInt32(h, 0)   // forgotten topics
	h = appendString(h, "") // rack
	r.head = h
	err := c.do(ctx, r, f.MaxWait+requestTimeout)
	if err == nil {
		err = parseFetch(&f.response, r.response, f.Topic, f.Partition)
	}
	if f.Room != nil {
		r.response = nil
	}
	c.layout.suspect(err)
	if err != nil {
		return nil, fmt.Errorf("fetch %s/%d from offset %d: %w", f.Topic, f.Partition, f.Offset, err)
	}
	return &f.response, nil
}

// parseFetch reads a Fetch response v11 about one partition into f, which then
// points into response.
func parseFetch(f *FetchResponse, response []byte, topic string, partition int32) error {
	d := newDecoder(response, false)
	d.skip(4) // throttle time
	code := d.int16()
	d.skip(4) // session
	if d.err != nil {
		return malformed(d.err)
	}
	if err := codeError(code, ""); err != nil {
		return err
	}
	if err := d.only(topic, partition, 42); err != nil {
		return err
	}
	code = d.int16()
	f.HighWatermark, f.LastStableOffset, f.LogStartOffset = d.int64(), d.int64(), d.int64()
	f.Aborted = f.Aborted[:0]
	for range d.count(16) {
		f.Aborted = append(f.Aborted, AbortedTransaction{ProducerID: d.int64(), FirstOffset: d.int64()})
	}
	d.skip(4) // preferred replica
	f.Records = d.bytes()
	if d.err != nil {
		return malformed(d.err)
	}
	return codeError(code, "")
}
