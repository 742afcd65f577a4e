package kafka

import (
	"context"
	"fmt"

	"github.com/segmentio/kafka-go/protocol"
)

const (
	listOffsetsVersion = 5
	latestOffset       = -1
	earliestOffset     = -2
	readCommitted      = 1
)

// Offsets asks the leader of a partition for the first offset that it still
// has and for the offset after the last one that a reader of committed records
// may see (the last stable offset).
func (c *Client) Offsets(ctx context.Context, topic string, partition int32) (start, end int64, err error) {
	if start, err = c.listOffset(ctx, topic, partition, earliestOffset); err != nil {
		return 0, 0, fmt.Errorf("find start of %s/%d: %w", topic, partition, err)
	}
	if end, err = c.listOffset(ctx, topic, partition, latestOffset); err != nil {
		return 0, 0, fmt.Errorf("find end of %s/%d: %w", topic, partition, err)
	}
	return start, end, nil
}

func (c *Client) listOffset(ctx context.Context, topic string, partition int32, which int64) (int64, error) {
	r := &request{topic: topic, partition: partition, limit: smallResponse}
	c.begin(r, protocol.ListOffsets, listOffsetsVersion, false)
	h := appendInt32(r.head, -1) // no replica
	h = append(h, readCommitted)
	h = appendInt32(h, 1) // topics
	h = appendString(h, topic)
	h = appendInt32(h, 1) // partitions
	h = appendInt32(h, partition)
	h = appendInt32(h, -1) // leader epoch: any
	h = appendInt64(h, which)
	r.head = h
	err := c.do(ctx, r, requestTimeout)
	var offset int64
	if err == nil {
		offset, err = parseListOffsets(r.response, topic, partition)
	}
	c.layout.suspect(err)
	return offset, err
}

// parseListOffsets reads a ListOffsets response v5 about one partition.
func parseListOffsets(response []byte, topic string, partition int32) (int64, error) {
	d := newDecoder(response, false)
	d.skip(4) // throttle time
	if err := d.only(topic, partition, 26); err != nil {
		return 0, err
	}
	code := d.int16()
	d.skip(8) // timestamp
	offset := d.int64()
	if d.err != nil {
		return 0, malformed(d.err)
	}
	if err := codeError(code, ""); err != nil {
		return 0, err
	}
	if offset < 0 {
		return 0, malformed(fmt.Errorf("offset %d", offset))
	}
	return offset, nil
}

// only reads the beginning of a response about one partition of one topic, up
// to the partition's index, whose entry takes at least size bytes.
func (d *decoder) only(topic string, partition int32, size int) error {
	topics := d.count(6 + size)
	name := d.string()
	partitions := d.count(size)
	index := d.int32()
	if d.err != nil {
		return malformed(d.err)
	}
	if topics != 1 || partitions != 1 || name != topic || index != partition {
		return malformed(fmt.Errorf("it is about %d topics, %q, %d partitions, partition %d", topics, name, partitions, index))
	}
	return nil
}
