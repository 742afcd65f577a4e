// Package topics administers Kafka topics: it makes a topic as it is desired,
// and deletes one by its id. It knows nothing of Kubernetes.
package topics

import (
	"context"
	"fmt"
	"maps"

	kafkago "github.com/segmentio/kafka-go"
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
	// leaves an older one as it is and a new one to NewPartitions or, where
	// that is 0 as well, to the brokers.
	Partitions int32
	// NewPartitions are what a new topic gets where Partitions is 0.
	NewPartitions int32
	// ReplicationFactor of a new topic; 0 leaves it to the brokers.
	ReplicationFactor int32
	// Config holds the only keys that are altered.
	Config map[string]string
	// MessageBytes is what max.message.bytes is raised to where it is lower,
	// unless Config has that key; 0 leaves it alone.
	MessageBytes int64
	// Known is the topic that was seen last; the zero value when none was.
	Known Identity
	// Anew has the brokers asked even where they were less than a minute ago.
	Anew bool
}

// Topic is a topic as the brokers describe it.
type Topic struct {
	Identity
	Name       string
	Partitions int32
	// ReplicationFactor of the partition that has the fewest replicas.
	ReplicationFactor int32
	// Weakness says how the topic can lose records that were acknowledged, and
	// what to do about it; empty when it can't, as far as is known.
	Weakness string
}

// Ensure makes the topic as desired and returns it as it then is; created
// tells whether this call has created it. It never removes partitions, moves
// replicas or deletes a topic. When it returns an error with a created topic,
// that topic exists and a later part failed.
//
// A topic that was as desired less than a minute ago counts as it was then,
// without a request; see Cluster.
func (c *Cluster) Ensure(ctx context.Context, desired Desired) (topic Topic, created bool, err error) {
	notBefore := c.now().Add(-c.lifetime())
	if desired.Anew {
		notBefore = c.now()
	}
	seen, err := c.look(ctx, desired, notBefore)
	if err != nil {
		return Topic{}, false, err
	}
	if seen.check(desired) == nil && seen.is(desired) {
		return seen.Topic, false, nil
	}
	if seen, err = c.look(ctx, desired, c.now().Add(-recently)); err != nil {
		return Topic{}, false, err
	}
	if seen.missing() {
		if err := mayCreate(desired); err != nil {
			return Topic{}, false, err
		}
		if seen, created, err = c.create(ctx, desired); err != nil {
			return Topic{}, created, err
		}
	}
	if err := seen.check(desired); err != nil {
		return seen.Topic, created, err
	}
	if !desired.Managed {
		return seen.Topic, false, nil
	}
	topic, err = c.change(ctx, desired, seen, created)
	return topic, created, err
}

// check says why the topic is not one to use or change.
func (s description) check(desired Desired) error {
	if s.refusal != 0 {
		return attempt{"describe topic", "Describe", desired.Name}.failed(s.refusal)
	}
	return sameTopic(desired, s.Identity)
}

// is tells whether nothing has to be changed.
func (s description) is(desired Desired) bool {
	if !desired.Managed {
		return true
	}
	return s.configErr == nil && len(configChanges(desired, s.config)) == 0 &&
		(desired.Partitions == 0 || desired.Partitions == s.Partitions)
}

// change brings a topic that exists to what is desired.
func (c *Cluster) change(ctx context.Context, desired Desired, seen description, created bool) (Topic, error) {
	topic := seen.Topic
	if seen.configErr != nil && len(desired.keys()) > 0 {
		return topic, seen.configErr
	}
	live := maps.Clone(seen.config)
	if err := c.setConfig(ctx, desired.Name, configChanges(desired, live), live); err != nil {
		return topic, err
	}
	if created {
		err := c.setConfig(ctx, desired.Name, saferConfig(desired, topic, live), live)
		if err != nil && ReasonOf(err) != NotAuthorized { // then Weakness tells
			return topic, err
		}
	}
	topic.Weakness = weakness(topic, live)
	partitions, err := c.grow(ctx, desired, topic.Partitions)
	topic.Partitions = partitions
	return topic, err
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
	c.forget(desired.Name)
	if err != nil {
		return live, attempt{fmt.Sprintf("grow from %d to %d partitions topic", live, desired.Partitions), "Alter", desired.Name}.failed(err)
	}
	seen, err := c.await(ctx, desired, func(s description) bool { return s.Partitions >= desired.Partitions })
	return max(seen.Partitions, live), err
}
