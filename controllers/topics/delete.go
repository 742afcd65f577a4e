package topics

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"
	kafkago "github.com/segmentio/kafka-go"
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
	defer c.forget(name)
	seen, err := c.look(ctx, Desired{Name: name}, c.now())
	switch {
	case err != nil:
		return err
	case seen.missing():
		return nil
	case seen.refusal != 0:
		return attempt{"describe topic", "Describe", name}.failed(seen.refusal)
	case seen.Identity != identity:
		return nil
	}
	err = c.client.DeleteTopic(ctx, id)
	if err == nil || errors.Is(err, kafkago.UnknownTopicID) {
		return nil
	}
	return attempt{"delete topic", "Delete", name}.failed(err)
}
