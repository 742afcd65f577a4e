package kafka

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/segmentio/kafka-go/protocol"
)

const (
	deleteTopicsVersion = 6 // the first that takes ids (KIP-516); flexible
	deleteTopicsTimeout = 15 * time.Second
)

// DeleteTopic asks the controller to delete the topic of that id, whatever its
// name. The error wraps the code that the controller answered (kafka-go's
// UnknownTopicID when there is no such topic), or is ErrUnreachable.
func (c *Client) DeleteTopic(ctx context.Context, id uuid.UUID) error {
	r := &request{partition: controller, limit: smallResponse}
	c.begin(r, protocol.DeleteTopics, deleteTopicsVersion, true)
	h := append(r.head, 2) // one topic
	h = append(h, 0)       // no name: it is deleted by its id
	h = append(h, id[:]...)
	h = append(h, 0) // tags
	h = appendInt32(h, int32(deleteTopicsTimeout.Milliseconds()))
	r.head = append(h, 0) // tags
	err := c.do(ctx, r, deleteTopicsTimeout+requestTimeout)
	if err == nil {
		err = parseDeleteTopics(r.response, id)
	}
	if err != nil {
		return fmt.Errorf("delete topic id %s: %w", id, err)
	}
	return nil
}

// parseDeleteTopics reads a DeleteTopics response v6 about one topic.
func parseDeleteTopics(response []byte, id uuid.UUID) error {
	d := newDecoder(response, true)
	d.skip(4) // throttle time
	topics := d.compactCount(21)
	d.compactString() // name
	answered := d.take(16)
	code := d.int16()
	message := d.compactString()
	if d.err != nil {
		return malformed(d.err)
	}
	if topics != 1 || uuid.UUID(answered) != id {
		return malformed(fmt.Errorf("it is about %d topics, id %s", topics, uuid.UUID(answered)))
	}
	return codeError(code, message)
}
