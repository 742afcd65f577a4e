package topics

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"
	kafkago "github.com/segmentio/kafka-go"

	"github.com/logpipeline/logpipeline/ingester/kafka"
)

// Delete deletes the topic that has this identity, and no other one of its
// name. A topic that is already gone is no error. The cluster is asked first
// which one it is: the brokers that are reached under the same address may be
// another cluster by now.
func (c *Cluster) Delete(ctx context.Context, name string, identity Identity) error {
	id, err := uuid.Parse(identity.ID)
	if err != nil {
		return &Error{Failed, fmt.Errorf("delete topic %q: id %q: %w", name, identity.ID, err)}
	}
	live, err := c.client.Topic(ctx, name)
	if errors.Is(err, kafka.UnknownTopic) {
		return nil
	}
	if err != nil {
		return failed(err)
	}
	if (Identity{ClusterID: live.ClusterID, ID: live.ID}) != identity {
		return nil
	}
	err = c.client.DeleteTopic(ctx, id)
	if errors.Is(err, kafkago.UnknownTopicID) {
		return nil
	}
	if err != nil {
		return failed(fmt.Errorf("topic %q: %w", name, err))
	}
	return nil
}
