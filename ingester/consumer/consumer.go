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
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	kafkago "github.com/segmentio/kafka-go"

	"github.com/logpipeline/logpipeline/ingester/config"
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
	// Close gives up what is not sealed.
	Close() error
}

// OpenChain opens the chain of a partition; one that does not exist yet begins
// at firstOffset. An error with a method StopReason() string stops the
// partition; any other is tried again.
type OpenChain func(ctx context.Context, topic, topicID string, partition int32, firstOffset func(context.Context) (int64, error)) (Chain, error)

const (
	// A rebalance is noticed by a heartbeat's answer, and keeps all members
	// from working until the last one has noticed.
	heartbeatInterval = time.Second
	sessionTimeout    = 30 * time.Second
	rebalanceTimeout  = 30 * time.Second
	joinBackoff       = time.Second
	// watchInterval bounds how long a new partition goes unnoticed.
	watchInterval = 5 * time.Second
)

// Consumer is one member of the group.
type Consumer struct {
	config  config.Config
	client  *kafka.Client
	open    OpenChain
	logger  *slog.Logger
	metrics *metrics
	memory  *fetchMemory

	// partitions is how many the topic had when it was last looked at. Run
	// writes it before there is a generation, a generation's watcher
	// afterwards.
	partitions int
	running    sync.WaitGroup // what Run has started
	stopped    stoppedPartitions
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
	return &Consumer{config: cfg, client: client, open: open, logger: logger.With("topic", cfg.Topic), metrics: newMetrics(reg), memory: newFetchMemory(cfg.Consumer)}, nil
}

// Run consumes until ctx ends. Then it stops fetching, seals and commits what
// it has, each within drain.timeoutSeconds, leaves the group, and returns nil.
// While Kafka cannot be reached, the topic does not exist or the storage takes
// no writes, it tries again, with growing pauses and for ever. An error means
// that the configuration does not allow it to begin.
func (c *Consumer) Run(ctx context.Context) error {
	defer c.running.Wait()
	if !c.waitForTopic(ctx) {
		return nil
	}
	group, err := kafkago.NewConsumerGroup(kafkago.ConsumerGroupConfig{
		ID:                c.config.ConsumerGroup(),
		Brokers:           c.config.Kafka.BootstrapServers,
		Dialer:            c.client.Dialer(),
		Topics:            []string{c.config.Topic},
		HeartbeatInterval: heartbeatInterval,
		SessionTimeout:    sessionTimeout,
		RebalanceTimeout:  rebalanceTimeout,
		JoinGroupBackoff:  joinBackoff,
	})
	if err != nil {
		return fmt.Errorf("join group %q: %w", c.config.ConsumerGroup(), err)
	}
	c.consume(ctx, group)
	// This ends the generation, waits for its workers, and leaves the group.
	if err := group.Close(); err != nil {
		c.logger.Warn("group was not left in order", "error", err)
	}
	return nil
}

// waitForTopic returns true once the topic exists. The group is joined only
// then, because joining asks for the topic in a way that lets brokers create
// it, with their defaults.
func (c *Consumer) waitForTopic(ctx context.Context) bool {
	trouble := trouble{logger: c.logger}
	for ctx.Err() == nil {
		topic, err := c.client.Topic(ctx, c.config.Topic)
		if err == nil {
			c.partitions = len(topic.Partitions)
			return true
		}
		trouble.waitAfter(ctx, "topic is not there yet", err)
	}
	return false
}

// consume starts the workers of one generation after the other. Next returns
// a generation only when all workers of the one before it have ended.
func (c *Consumer) consume(ctx context.Context, group *kafkago.ConsumerGroup) {
	trouble := trouble{logger: c.logger}
	for {
		generation, err := group.Next(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case errors.Is(err, kafkago.RebalanceInProgress):
			continue // the broker holds the next attempt until the others are there
		case err != nil:
			trouble.report("group cannot be joined", err) // kafka-go waits
			continue
		}
		trouble.over()
		c.startGeneration(ctx, generation)
	}
}

func (c *Consumer) startGeneration(ctx context.Context, generation *kafkago.Generation) {
	assigned := generation.Assignments[c.config.Topic]
	c.logger.Info("partitions assigned", "group", generation.GroupID, "generation", generation.ID, "partitions", len(assigned))
	for _, a := range assigned {
		w := newWorker(ctx, c, int32(a.ID), func(offset int64) error {
			return generation.CommitOffsets(map[string]map[int]int64{c.config.Topic: {a.ID: offset}})
		})
		c.start(generation, w.run)
	}
	c.start(generation, c.watchPartitions) // last: it may count the partitions anew
}

// start runs f for the generation, whose end is the end of f's context, and
// f's end the generation's. It keeps account itself too, since a generation
// that has ended meanwhile does not wait for f.
func (c *Consumer) start(generation *kafkago.Generation, f func(context.Context)) {
	c.running.Add(1)
	generation.Start(func(ended context.Context) {
		defer c.running.Done()
		ctx, cancel := context.WithCancel(ended)
		defer cancel()
		f(ctx)
	})
}

// watchPartitions returns, which ends the generation, when the topic has
// another number of partitions than when it was last looked at.
func (c *Consumer) watchPartitions(ctx context.Context) {
	ticker := time.NewTicker(watchInterval)
	defer ticker.Stop()
	for {
		topic, err := c.client.Topic(ctx, c.config.Topic)
		if n := len(topic.Partitions); err == nil && n != c.partitions {
			c.logger.Info("number of partitions changed", "before", c.partitions, "now", n)
			c.partitions = n
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}
