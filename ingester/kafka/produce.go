package kafka

import (
	"context"
	"fmt"
	"time"

	"github.com/segmentio/kafka-go/protocol"
)

const produceVersion = 8 // the first whose refusals carry a text

// RequiredAcks says which replicas must have a batch before the leader
// acknowledges it.
type RequiredAcks int8

const (
	// AcksAll waits for all in-sync replicas.
	AcksAll RequiredAcks = iota
	// AcksOne waits for the leader alone. A batch so acknowledged is lost with
	// its leader, and should be sealed for NoProducer: see there.
	AcksOne
)

// number is how the protocol says it.
func (a RequiredAcks) number() int16 {
	if a == AcksOne {
		return 1
	}
	return -1
}

// ProduceRequest sends one record batch to one partition. It may be used again
// once Produce has returned, and keeps its buffers for that.
type ProduceRequest struct {
	Topic     string
	Partition int32
	// Batch is one record batch, as BatchBuilder seals it. It is read until
	// Produce returns, and not afterwards.
	Batch []byte
	// Acks is whom the leader waits for.
	Acks RequiredAcks
	// Timeout bounds how long the broker waits for its in-sync replicas. The
	// exchange is given a few seconds more, but not beyond Deadline, unless that
	// is zero. (A context of each batch's own would cost more than it.)
	Timeout  time.Duration
	Deadline time.Time

	request request
}

// Produce sends the batch to the leader of the partition and waits until the
// replicas that p.Acks names have it. It returns the offset of the batch's first record.
// What an error means for the batch is told by Classify.
func (c *Client) Produce(ctx context.Context, p *ProduceRequest) (baseOffset int64, err error) {
	r := &p.request
	r.topic, r.partition, r.payload, r.limit = p.Topic, p.Partition, p.Batch, smallResponse
	c.begin(r, protocol.Produce, produceVersion, false)
	h := appendInt16(r.head, -1) // no transactional id
	h = appendInt16(h, p.Acks.number())
	h = appendInt32(h, int32(min(p.Timeout, time.Hour).Milliseconds()))
	h = appendInt32(h, 1) // topics
	h = appendString(h, p.Topic)
	h = appendInt32(h, 1) // partitions
	h = appendInt32(h, p.Partition)
	h = appendInt32(h, int32(len(p.Batch)))
	r.head = h
	err = c.do(ctx, r, p.patience())
	r.payload = nil
	if err == nil {
		baseOffset, err = parseProduce(r.response, p.Topic, p.Partition)
	}
	c.layout.suspect(err)
	if err != nil {
		return 0, fmt.Errorf("produce to %s/%d: %w", p.Topic, p.Partition, err)
	}
	return baseOffset, nil
}

// patience is how long an exchange may take.
func (p *ProduceRequest) patience() time.Duration {
	patience := p.Timeout + requestTimeout
	if p.Deadline.IsZero() {
		return patience
	}
	return min(patience, time.Until(p.Deadline))
}

// parseProduce reads a Produce response v8 about one partition.
func parseProduce(response []byte, topic string, partition int32) (int64, error) {
	d := newDecoder(response, false)
	if err := d.only(topic, partition, 36); err != nil {
		return 0, err
	}
	code := d.int16()
	baseOffset := d.int64()
	d.skip(8 + 8) // append time, log start offset
	for range d.count(6) {
		d.skip(4)  // the record's index
		d.string() // what is wrong with it
	}
	message := d.string()
	if d.err != nil {
		return 0, malformed(d.err)
	}
	if err := codeError(code, message); err != nil {
		return 0, err
	}
	if baseOffset < 0 {
		return 0, malformed(fmt.Errorf("base offset %d", baseOffset))
	}
	return baseOffset, nil
}
