package ingester

import (
	"context"

	"github.com/logpipeline/logpipeline/ingester/consumer"
	"github.com/logpipeline/logpipeline/ingester/kafka"
	"github.com/logpipeline/logpipeline/ingester/segment"
)

// openConsumer puts the consumer on top of the store, a directory or an object
// store. A progress that isn't nil is told how far the chains have come.
func (p *process) openConsumer(ctx context.Context, client *kafka.Client, progress *progress) (*consumer.Consumer, error) {
	store, err := segment.Open(ctx, p.cfg, p.logger, p.registry)
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
