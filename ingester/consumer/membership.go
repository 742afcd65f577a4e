package consumer

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/logpipeline/logpipeline/ingester/consumer/group"
	"github.com/logpipeline/logpipeline/ingester/kafka"
)

const (
	// A rebalance is noticed by a heartbeat's answer, and keeps all members
	// from working until the last one has noticed.
	heartbeatInterval = time.Second
	rebalanceTimeout  = 30 * time.Second
	// joinPatience is longer than brokers hold back a group's first generation
	// unless told otherwise (group.initial.rebalance.delay.ms, 3 s).
	joinPatience = 4 * time.Second
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
		what := "topic cannot be described"
		switch {
		case errors.Is(err, kafka.UnknownTopic):
			what = "topic is not there yet"
		case errors.Is(err, kafka.ErrUnreachable):
			what = "brokers cannot be reached"
		}
		trouble.waitAfter(ctx, orRefused(err, what), err)
	}
	return false
}

// orRefused is what, unless the brokers refuse the credentials.
func orRefused(err error, what string) string {
	if kafka.CredentialsRefused(err) {
		return "brokers refuse the credentials that kafka.sasl and kafka.tls name"
	}
	return what
}

// consume works in one generation of the group after the other. Its error is
// group.ErrFenced.
func (c *Consumer) consume(ctx context.Context, member *group.Member) error {
	trouble := trouble{logger: c.logger}
	for ctx.Err() == nil {
		c.countPartitions(ctx) // all members look before they join, so that one rebalance is enough
		generation, err := c.join(ctx, member)
		switch {
		case errors.Is(err, group.ErrFenced):
			return err
		case err != nil:
			trouble.waitAfter(ctx, orRefused(err, "group cannot be joined"), err)
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

// join says so once if the group lets it wait.
func (c *Consumer) join(ctx context.Context, member *group.Member) (*group.Generation, error) {
	said := make(chan struct{})
	patience := time.AfterFunc(joinPatience, func() {
		defer close(said)
		c.logger.Info("waiting for the group: its other members end their work first, and one that was killed is waited for until its session times out",
			"group", c.config.ConsumerGroup(), "session_timeout", time.Duration(c.config.Consumer.SessionTimeoutSeconds)*time.Second, "rebalance_timeout", rebalanceTimeout)
	})
	defer func() {
		if !patience.Stop() {
			<-said
		}
	}()
	return member.Join(ctx, c.partitions)
}

// work stores the generation's partitions until working ends, or the topic has
// another number of partitions. Ctx is Run's.
func (c *Consumer) work(ctx, working context.Context, generation *group.Generation) {
	working, end := context.WithCancel(working)
	defer end()
	assigned := []any{"group", c.config.ConsumerGroup(), "generation", generation.ID(), "member", generation.MemberID(), "partitions", len(generation.Partitions)}
	if generation.Members > 0 { // only the leader is told
		assigned = append(assigned, "members", generation.Members)
	}
	c.logger.Info("partitions assigned", assigned...)
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
