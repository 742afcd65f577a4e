// Package consumer brings the records of a Kafka topic into storage, each
// exactly once. It is a member of a consumer group and runs one worker per
// partition that the group assigns to it.
//
// Where a worker begins is told by the storage alone: it asks the partition's
// chain for its next offset, and fetches from there. The group only shares the
// partitions out; the offsets committed to it are for those who watch the
// group's lag. So neither a lost commit nor two members that hold one partition
// for a while can lose or double a record.
package consumer

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/logpipeline/logpipeline/ingester/config"
	"github.com/logpipeline/logpipeline/ingester/consumer/group"
	"github.com/logpipeline/logpipeline/ingester/kafka"
	"github.com/logpipeline/logpipeline/ingester/record"
)

// Chain is where one partition's records are stored. After an error from
// Append or Seal it is closed and opened anew.
type Chain interface {
	// NextOffset is the offset of the next record to append.
	NextOffset() int64
	// LeaderEpoch is that of the leader which wrote what the chain ended with
	// when it was opened or sealed last, -1 when that is not known.
	LeaderEpoch() int32
	// Append adds a run of offsets and the lines of its records.
	Append(lines []byte, span record.Span) error
	// Due is why the segment must be sealed before next is appended, or "".
	Due(now time.Time, next record.Span) string
	// Seal stores what has been appended, and reports whether it did; if
	// others had stored it before, NextOffset has moved to where they are.
	Seal(ctx context.Context) (sealed bool, err error)
	// Retain removes what the limits no longer keep; an error harms nothing.
	Retain(ctx context.Context, now time.Time, limits config.Retention) error
	// RecordGap stores that the records from NextOffset up to next are not
	// stored, and why, and reports whether it did, as with Seal. It is called
	// when all that has been appended is sealed.
	RecordGap(ctx context.Context, next int64, reason string) (recorded bool, err error)
	// Close gives up what is not sealed.
	Close() error
}

// OpenChain opens the chain of a partition; one that does not exist yet begins
// at firstOffset. An error with a method StopReason() string stops the
// partition; any other is tried again.
type OpenChain func(ctx context.Context, topic, topicID string, partition int32, firstOffset func(context.Context) (int64, error)) (Chain, error)

// Consumer is one member of the group.
type Consumer struct {
	config     config.Config
	instanceID string
	client     *kafka.Client
	open       OpenChain
	logger     *slog.Logger
	metrics    *metrics
	memory     *fetchMemory
	standings  *standings

	// partitions is how many the topic had when it was last looked at, before
	// there was a generation or by the generation's watcher.
	partitions int
}

// New returns a consumer of cfg.Topic. The client stays the caller's, who
// closes it after Run has returned.
func New(cfg config.Config, client *kafka.Client, open OpenChain, logger *slog.Logger, reg prometheus.Registerer) (*Consumer, error) {
	if cfg.Topic == "" {
		return nil, errors.New("create consumer: topic is empty: name the Kafka topic to read")
	}
	if cfg.Drain.TimeoutSeconds <= 0 {
		return nil, fmt.Errorf("create consumer: drain.timeoutSeconds is %d: the last seal needs time, give it at least 1", cfg.Drain.TimeoutSeconds)
	}
	instanceID, err := cfg.Consumer.StaticID()
	if err != nil {
		return nil, fmt.Errorf("create consumer: %w", err)
	}
	standings := newStandings(cfg.ConsumerGroup())
	reg.MustRegister(standings)
	return &Consumer{
		config: cfg, instanceID: instanceID, client: client, open: open, logger: logger.With("topic", cfg.Topic),
		metrics: newMetrics(reg), memory: newFetchMemory(cfg.Consumer), standings: standings,
	}, nil
}

// Run consumes until ctx ends. Then it stops fetching, seals and commits what
// it has, each within drain.timeoutSeconds, leaves the group, and returns nil.
// While Kafka cannot be reached, the topic does not exist or the storage takes
// no writes, it tries again, with growing pauses and for ever. An error means
// that another process has joined the group under the same instance id; what
// was not sealed by then is given up, for the other to store.
func (c *Consumer) Run(ctx context.Context) error {
	if !c.waitForTopic(ctx) {
		return nil
	}
	member := group.New(c.client, group.Config{
		Group: c.config.ConsumerGroup(), InstanceID: c.instanceID, Topic: c.config.Topic,
		SessionTimeout:    time.Duration(c.config.Consumer.SessionTimeoutSeconds) * time.Second,
		HeartbeatInterval: heartbeatInterval,
		RebalanceTimeout:  rebalanceTimeout,
	})
	defer c.leave(ctx, member)
	if err := c.consume(ctx, member); err != nil {
		return fmt.Errorf("consume topic %q: %w: give every process a consumer.instanceID of its own", c.config.Topic, err)
	}
	return nil
}
