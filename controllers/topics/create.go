package topics

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol/createtopics"
)

const (
	createTimeout = 15 * time.Second
	awaitEvery    = 50 * time.Millisecond
)

// create makes the topic and describes it; created is false when somebody else
// was faster.
func (c *Cluster) create(ctx context.Context, desired Desired) (seen description, created bool, err error) {
	err = c.requestCreation(ctx, desired)
	if err != nil && !errors.Is(err, kafkago.TopicAlreadyExists) {
		return description{}, false, attempt{"create topic", "Create", desired.Name}.failed(err)
	}
	created = err == nil
	seen, err = c.await(ctx, desired, func(s description) bool { return !s.missing() })
	return seen, created, err
}

func (c *Cluster) requestCreation(ctx context.Context, desired Desired) error {
	ctx, cancel := context.WithTimeout(ctx, createTimeout)
	defer cancel()
	request := &creation{Request: createtopics.Request{
		Topics: []createtopics.RequestTopic{{
			Name:              desired.Name,
			NumPartitions:     orBrokers(cmp.Or(desired.Partitions, desired.NewPartitions)),
			ReplicationFactor: int16(orBrokers(desired.ReplicationFactor)),
			Configs:           newTopicConfig(desired),
		}},
		TimeoutMs: int32(createTimeout.Milliseconds()),
	}}
	answer, err := c.admin.Transport.RoundTrip(ctx, c.address, request)
	if err != nil {
		return err
	}
	for _, topic := range answer.(*created).Topics {
		if topic.ErrorCode != 0 {
			return fmt.Errorf("%w (%s)", kafkago.Error(topic.ErrorCode), topic.ErrorMessage)
		}
	}
	return nil
}

// orBrokers is 0 as the protocol writes "as the brokers are configured".
func orBrokers(n int32) int32 {
	if n == 0 {
		return -1
	}
	return n
}

// await describes a topic that was just created or grown until that is to be
// seen: brokers other than the controller learn of it a little later.
func (c *Cluster) await(ctx context.Context, desired Desired, there func(description) bool) (description, error) {
	for {
		seen, err := c.look(ctx, desired, c.now())
		if err != nil || there(seen) {
			return seen, err
		}
		c.forget(desired.Name)
		select {
		case <-ctx.Done():
			return description{}, c.failed(fmt.Sprintf("await topic %q", desired.Name), ctx.Err())
		case <-time.After(awaitEvery):
		}
	}
}
