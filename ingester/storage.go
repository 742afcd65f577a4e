package ingester

import (
	"context"

	"github.com/logpipeline/logpipeline/ingester/consumer"
	"github.com/logpipeline/logpipeline/ingester/kafka"
	"github.com/logpipeline/logpipeline/ingester/segment"
)

// openConsumer puts the consumer on top of the directory store. A progress
// that isn't nil is told how far the chains have come.
func (p *process) openConsumer(client *kafka.Client, progress *progress) (*consumer.Consumer, error) {
	directory, err := segment.OpenDirectory(p.cfg.DataDir, p.cfg.Segment, p.logger, p.registry)
	if err != nil {
		return nil, err
	}
	open := func(ctx context.Context, topic, topicID string, partition int32, first func(context.Context) (int64, error)) (consumer.Chain, error) {
		chain, err := directory.Open(ctx, topic, topicID, partition, first)
		if err != nil {
			return nil, err // not chain: a nil *segment.Chain is no nil consumer.Chain
		}
		if progress == nil {
			return chain, nil
		}
		return progress.watch(chain, partition), nil
	}
	return consumer.New(p.cfg, client, open, p.logger, p.registry)
}
