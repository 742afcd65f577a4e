// Package topics administers Kafka topics: it makes a topic as it is desired,
// and deletes one by its id. It knows nothing of Kubernetes.
package topics

import (
	"context"
	"errors"
	"fmt"
	"time"

	kafkago "github.com/segmentio/kafka-go"

	"github.com/logpipeline/logpipeline/ingester/kafka"
)

// Identity is what a topic is: a name can be taken again by another topic.
type Identity struct {
	ClusterID string
	ID        string
}

// Desired is the topic that is wanted.
type Desired struct {
	Name string
	// Managed topics are created and changed; others are only looked at.
	Managed bool
	// Partitions that a new topic gets and that an older one grows to; 0
	// leaves them to the brokers.
	Partitions int32
	// ReplicationFactor of a new topic; 0 leaves it to the brokers.
	ReplicationFactor int32
	// Config holds the only keys that are altered.
	Config map[string]string
	// MessageBytes is what max.message.bytes is raised to where it is lower,
	// unless Config has that key; 0 leaves it alone.
	MessageBytes int64
	// Known is the topic that was seen last; the zero value when none was.
	Known Identity
}

// Topic is a topic as the brokers describe it.
type Topic struct {
	Identity
	Name       string
	Partitions int32
	// ReplicationFactor of the first partition; 0 while it is not known.
	ReplicationFactor int32
}

// Cluster administers the topics of one Kafka cluster. It is safe for
// concurrent use. Every error is an *Error.
type Cluster struct {
	client *kafka.Client
	admin  *kafkago.Client
}

// Ensure makes the topic as desired and returns it as it then is; created
// tells whether this call has created it. It never removes partitions, moves
// replicas or deletes a topic. When it returns an error with a created topic,
// that topic exists and a later part failed.
func (c *Cluster) Ensure(ctx context.Context, desired Desired) (topic Topic, created bool, err error) {
	live, err := c.client.Topic(ctx, desired.Name)
	if errors.Is(err, kafka.UnknownTopic) {
		if err := mayCreate(desired); err != nil {
			return Topic{}, false, err
		}
		if live, created, err = c.create(ctx, desired); err != nil {
			return Topic{}, created, err
		}
	} else if err != nil {
		return Topic{}, false, failed(err)
	}
	topic = Topic{
		Identity:   Identity{ClusterID: live.ClusterID, ID: live.ID},
		Name:       live.Name,
		Partitions: int32(len(live.Partitions)),
	}
	if err := sameTopic(desired, topic.Identity); err != nil {
		return topic, false, err
	}
	if topic.ReplicationFactor, err = c.replicationFactor(ctx, desired.Name); err != nil {
		return topic, created, err
	}
	if !desired.Managed {
		return topic, false, nil
	}
	if !created {
		if err := c.alterConfig(ctx, desired); err != nil {
			return topic, false, err
		}
	}
	topic.Partitions, err = c.grow(ctx, desired, topic.Partitions)
	return topic, created, err
}

func mayCreate(desired Desired) error {
	switch {
	case desired.Known != Identity{}:
		return &Error{Recreated, fmt.Errorf("topic %q with id %s is not there: it was deleted, or kafka.bootstrapServers lead to another cluster than %s. Restore the addresses, or create a new pipeline, with its own storage: a new topic would not continue what is stored", desired.Name, desired.Known.ID, desired.Known.ClusterID)}
	case !desired.Managed:
		return &Error{NotFound, fmt.Errorf("topic %q does not exist and topic.management is Existing: create it, or use Managed", desired.Name)}
	default:
		return nil
	}
}

func sameTopic(desired Desired, live Identity) error {
	switch known := desired.Known; {
	case known == Identity{} || known == live:
		return nil
	case known.ClusterID != live.ClusterID:
		return &Error{Recreated, fmt.Errorf("kafka.bootstrapServers lead to cluster %s, but topic %q is of cluster %s: restore the addresses, or create a new pipeline, with its own storage", live.ClusterID, desired.Name, known.ClusterID)}
	default:
		return &Error{Recreated, fmt.Errorf("topic %q now has the id %s instead of %s: it was deleted and created again; create a new pipeline, with its own storage", desired.Name, live.ID, known.ID)}
	}
}

// create makes the topic and returns it as described; created is false when
// somebody else was faster.
func (c *Cluster) create(ctx context.Context, desired Desired) (live kafka.Topic, created bool, err error) {
	response, err := c.admin.CreateTopics(ctx, &kafkago.CreateTopicsRequest{Topics: []kafkago.TopicConfig{{
		Topic:             desired.Name,
		NumPartitions:     orBrokers(desired.Partitions),
		ReplicationFactor: orBrokers(desired.ReplicationFactor),
		ConfigEntries:     newTopicConfig(desired),
	}}})
	if err == nil {
		err = response.Errors[desired.Name]
	}
	if err != nil && !errors.Is(err, kafkago.TopicAlreadyExists) {
		return kafka.Topic{}, false, failed(fmt.Errorf("create topic %q: %w", desired.Name, err))
	}
	created = err == nil
	live, err = c.awaitTopic(ctx, desired.Name)
	return live, created, err
}

// orBrokers is 0 as the protocol writes "as the brokers are configured".
func orBrokers(n int32) int {
	if n == 0 {
		return -1
	}
	return int(n)
}

const awaitEvery = 50 * time.Millisecond

// awaitTopic describes a topic that was just created: brokers other than the
// controller learn of it a little later.
func (c *Cluster) awaitTopic(ctx context.Context, name string) (kafka.Topic, error) {
	for {
		live, err := c.client.Topic(ctx, name)
		if err == nil {
			return live, nil
		}
		if !errors.Is(err, kafka.UnknownTopic) {
			return kafka.Topic{}, failed(err)
		}
		select {
		case <-ctx.Done():
			return kafka.Topic{}, failed(fmt.Errorf("await topic %q: %w", name, ctx.Err()))
		case <-time.After(awaitEvery):
		}
	}
}

// replicationFactor is read from the metadata that the transport keeps, where
// a topic that others created may appear late.
func (c *Cluster) replicationFactor(ctx context.Context, name string) (int32, error) {
	metadata, err := c.admin.Metadata(ctx, &kafkago.MetadataRequest{Topics: []string{name}})
	if err != nil {
		return 0, failed(fmt.Errorf("describe replicas of topic %q: %w", name, err))
	}
	for _, topic := range metadata.Topics {
		if topic.Name == name && len(topic.Partitions) > 0 {
			return int32(len(topic.Partitions[0].Replicas)), nil
		}
	}
	return 0, nil
}

// grow adds the partitions that are missing and returns how many there are.
func (c *Cluster) grow(ctx context.Context, desired Desired, live int32) (int32, error) {
	switch {
	case desired.Partitions == 0 || desired.Partitions == live:
		return live, nil
	case desired.Partitions < live:
		return live, &Error{PartitionsBelowLive, fmt.Errorf("topic %q has %d partitions and topic.partitions is %d: raise it to %d or more, Kafka cannot remove partitions", desired.Name, live, desired.Partitions, live)}
	}
	response, err := c.admin.CreatePartitions(ctx, &kafkago.CreatePartitionsRequest{
		Topics: []kafkago.TopicPartitionsConfig{{Name: desired.Name, Count: desired.Partitions}},
	})
	if err == nil {
		err = response.Errors[desired.Name]
	}
	if err != nil {
		return live, failed(fmt.Errorf("grow topic %q from %d to %d partitions: %w", desired.Name, live, desired.Partitions, err))
	}
	return desired.Partitions, nil
}
