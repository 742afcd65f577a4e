package kafka

import (
	"context"
	"fmt"

	"github.com/segmentio/kafka-go/protocol"
)

const offsetCommitVersion = 7 // the first with instance ids

// Commit notes with the coordinator how far a partition has been dealt with:
// up to the offset, which itself has not. Only a member of the current
// generation may; for others it is UnknownMember, IllegalGeneration or
// FencedInstanceID.
func (g *Group) Commit(ctx context.Context, m Member, topic string, partition int32, offset int64) error {
	r := g.begin(protocol.OffsetCommit, offsetCommitVersion)
	h := appendMember(r.head, m)
	h = appendInt32(h, 1) // topics
	h = appendString(h, topic)
	h = appendInt32(h, 1) // partitions
	h = appendInt32(h, partition)
	h = appendInt64(h, offset)
	h = appendInt32(h, -1)      // leader epoch: not said
	r.head = appendInt16(h, -1) // metadata: none
	err := g.ask(ctx, r, requestTimeout, func(response []byte) error {
		return parseCommit(response, topic, partition)
	})
	if err != nil {
		return fmt.Errorf("commit offset %d of %s/%d to group %q: %w", offset, topic, partition, g.name, err)
	}
	return nil
}

// parseCommit reads an OffsetCommit response v7 about one partition.
func parseCommit(response []byte, topic string, partition int32) error {
	d := newDecoder(response, false)
	d.skip(4) // throttle time
	if err := d.only(topic, partition, 6); err != nil {
		return err
	}
	return d.finalCode()
}
