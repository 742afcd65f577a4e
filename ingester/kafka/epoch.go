package kafka

import (
	"context"
	"fmt"

	"github.com/segmentio/kafka-go/protocol"
)

// offsetForLeaderEpochVersion is the first that consumers may use (KIP-320).
const offsetForLeaderEpochVersion = 3

// EpochEnd asks the leader of a partition how far the log comes that leaders
// up to and including an epoch have written: the offset after it. Whoever has
// read past that in this epoch has read records that the log has lost since.
// The end is -1 when the leader knows nothing of the epoch. The errors are
// those of Fetch.
func (c *Client) EpochEnd(ctx context.Context, topic string, partition, epoch int32) (end int64, err error) {
	r := &request{topic: topic, partition: partition, limit: smallResponse}
	c.begin(r, protocol.OffsetForLeaderEpoch, offsetForLeaderEpochVersion, false)
	h := appendInt32(r.head, -1) // no replica
	h = appendInt32(h, 1)        // topics
	h = appendString(h, topic)
	h = appendInt32(h, 1) // partitions
	h = appendInt32(h, partition)
	h = appendInt32(h, -1) // the leader's own epoch: any
	h = appendInt32(h, epoch)
	r.head = h
	err = c.do(ctx, r, requestTimeout)
	if err == nil {
		end, err = parseEpochEnd(r.response, topic, partition)
	}
	c.layout.suspect(err)
	if err != nil {
		return 0, fmt.Errorf("find end of leader epoch %d of %s/%d: %w", epoch, topic, partition, err)
	}
	return end, nil
}

// parseEpochEnd reads an OffsetForLeaderEpoch response v3 about one partition.
func parseEpochEnd(response []byte, topic string, partition int32) (int64, error) {
	d := newDecoder(response, false)
	d.skip(4) // throttle time
	topics := d.count(24)
	name := d.string()
	partitions := d.count(18)
	code := d.int16()
	index := d.int32()
	d.skip(4) // the epoch that ends there
	end := d.int64()
	if d.err != nil {
		return 0, malformed(d.err)
	}
	if topics != 1 || partitions != 1 || name != topic || index != partition || end < -1 {
		return 0, malformed(fmt.Errorf("it is about %d topics, %q, %d partitions, partition %d, end %d", topics, name, partitions, index, end))
	}
	return end, codeError(code, "")
}
