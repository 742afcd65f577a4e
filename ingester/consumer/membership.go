package consumer

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/logpipeline/logpipeline/ingester/consumer/group"
)

const (
	// A rebalance is noticed by a heartbeat's answer, and keeps all members
	// from working until the last one has noticed.
	heartbeatInterval = time.Second
	rebalanceTimeout  = 30 * time.Second
	// leaveTimeout bounds the last request of a process.
	leaveTimeout = 5 * time.Second
	// watchInterval bounds how long a new partition goes unnoticed.
	watchInterval = 5 * time.Second
)

// waitForTopic returns true once the topic exists.
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

// consume works in one generation of the group after the other. Its error is
// group.ErrFenced.
func (c *Consumer) consume(ctx context.Context, member *group.Member) error {
	trouble := trouble{logger: c.logger}
	for ctx.Err() == nil {
		c.countPartitions(ctx) // all members look before they join, so that one rebalance is enough
		generation, err := member.Join(ctx, c.partitions)
		switch {
		case errors.Is(err, group.ErrFenced):
			return err
		case err != nil:
			trouble.waitAfter(ctx, "group cannot be joined", err)
			continue
		}
		trouble.over()
		if err := generation.Run(ctx, func(working context.Context) { c.work(ctx, working, generation) }); err != nil {
			return err
		}
		if generation.Lost() {
			c.logger.Warn("group has gone on without this member; what was not sealed will be fetched again", "group", c.config.ConsumerGroup(), "generation", generation.ID())
		}
	}
	return nil
}

// work stores the generation's partitions until working ends, or the topic has
// another number of partitions. Ctx is Run's.
func (c *Consumer) work(ctx, working context.Context, generation *group.Generation) {
	working, end := context.WithCancel(working)
	defer end()
	c.logger.Info("partitions assigned", "group", c.config.ConsumerGroup(), "generation", generation.ID(), "member", generation.MemberID(), "members", generation.Members, "partitions", len(generation.Partitions))
	c.standings.begin(generation.ID(), generation.MemberID(), generation.Partitions)
	defer c.standings.end()
	var workers sync.WaitGroup
	defer workers.Wait()
	for _, partition := range generation.Partitions {
		w := newWorker(ctx, c, partition, generation)
		workers.Go(func() { w.run(working) })
	}
	c.watchTopic(working)
	end()
}

func (c *Consumer) leave(ctx context.Context, member *group.Member) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaveTimeout)
	defer cancel()
	if err := member.Leave(ctx); err != nil {
		c.logger.Warn("group was not left in order", "error", err)
	}
}

// watchTopic returns when ctx ends, or when the topic has another number of
// partitions than when it was last looked at.
func (c *Consumer) watchTopic(ctx context.Context) {
	ticker := time.NewTicker(watchInterval)
	defer ticker.Stop()
	for {
		if c.countPartitions(ctx) {
			return
		}
		if c.readRetention(ctx) {
			c.warnOfRetention()
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// countPartitions reports whether the topic has another number of partitions
// than before. While Kafka doesn't say, it has as many.
func (c *Consumer) countPartitions(ctx context.Context) (changed bool) {
	topic, err := c.client.Topic(ctx, c.config.Topic)
	n := len(topic.Partitions)
	if err != nil || n == c.partitions {
		return false
	}
	c.logger.Info("number of partitions changed", "before", c.partitions, "now", n)
	c.partitions = n
	return true
}
