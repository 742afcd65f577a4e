package ingester

import (
	"context"
	"errors"
	"fmt"

	"github.com/logpipeline/logpipeline/ingester/consumer"
	"github.com/logpipeline/logpipeline/ingester/journal"
	"github.com/logpipeline/logpipeline/ingester/segment"
)

// directChain is a chain of segments, aggregated if that is configured, as the
// journal needs it.
type directChain struct {
	consumer.Chain
	segments *segment.Chain
}

// RecordGap is called when nothing is pending, so that there is nothing to
// aggregate.
func (c directChain) RecordGap(ctx context.Context, next int64, reason string) (bool, error) {
	return c.segments.RecordGap(ctx, next, reason)
}

// slot is the partition that the journal's records are in: it has one.
const slot = 0

// openDirectChain opens the store, a directory or an object store, and returns
// what opens the journal's chain in it.
func (p *process) openDirectChain(ctx context.Context) (journal.OpenChain, error) {
	store, err := segment.Open(ctx, p.cfg, p.logger, p.registry)
	if err != nil {
		return nil, err
	}
	aggregation, err := p.openAggregation(store)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context, id string, first int64) (journal.Chain, error) {
		sealed, err := store.Open(ctx, p.cfg.Topic, id, slot, func(context.Context) (int64, error) { return first, nil })
		if err != nil {
			return nil, explainOther(err, p.cfg.Topic)
		}
		chain := directChain{sealed, sealed}
		if aggregation != nil {
			chain.Chain = aggregation.watch(sealed, p.cfg.Topic, id, slot)
		}
		return chain, nil
	}, nil
}

// explainOther says what another topic id means where the id is the journal's.
func explainOther(err error, topic string) error {
	var stop *segment.StopError
	if errors.As(err, &stop) && stop.Reason == "TopicRecreated" {
		return fmt.Errorf("the store has records of topic %q that did not come from this journal: choose another topic or another data directory, or put the journal back that they came from: %w", topic, err)
	}
	return err
}
