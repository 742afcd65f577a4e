package ingester

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/logpipeline/logpipeline/ingester/consumer"
	"github.com/logpipeline/logpipeline/ingester/kafka"
	"github.com/logpipeline/logpipeline/ingester/segment"
)

const (
	firstStorePause   = 500 * time.Millisecond
	longestStorePause = 30 * time.Second
)

// openStore opens the store, a directory or an object store. While an object store
// is not available it tries again, and readiness says why. The error needs
// somebody to act, or is that of ctx.
func (p *process) openStore(ctx context.Context) (*segment.Store, error) {
	for pause := firstStorePause; ; pause = min(2*pause, longestStorePause) {
		store, err := segment.Open(ctx, p.cfg, p.logger, p.registry)
		if ctx.Err() != nil {
			return nil, fmt.Errorf("open the store: %w", ctx.Err())
		}
		if !errors.Is(err, segment.ErrUnavailable) {
			p.admin.setState("starting")
			return store, err
		}
		p.logger.Warn("the store can't be opened; trying again", "pause", pause, "error", err)
		failure := err.Error()
		p.storeFailure.Store(&failure)
		p.admin.setState(failure)
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
	}
}

// openConsumer puts the consumer on top of the store, a directory or an object
// store. A progress that isn't nil is told how far the chains have come.
func (p *process) openConsumer(ctx context.Context, client *kafka.Client, progress *progress) (*consumer.Consumer, error) {
	store, err := p.openStore(ctx)
	if err != nil {
		return nil, err
	}
	aggregation, err := p.openAggregation(store)
	if err != nil {
		return nil, err
	}
	open := func(ctx context.Context, topic, topicID string, partition int32, first func(context.Context) (int64, error)) (consumer.Chain, error) {
		sealed, err := store.Open(ctx, topic, topicID, partition, first)
		if err != nil {
			return nil, err // not sealed: a nil *segment.Chain is no nil consumer.Chain
		}
		var chain consumer.Chain = sealed
		if aggregation != nil {
			chain = aggregation.watch(chain, topic, topicID, partition)
		}
		if progress != nil {
			chain = progress.watch(chain, partition)
		}
		return chain, nil
	}
	return consumer.New(p.cfg, client, open, p.logger, p.registry)
}
