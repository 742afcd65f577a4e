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

// HintedOffset is the segments' own.
func (c directChain) HintedOffset() int64 { return c.segments.HintedOffset() }

// RecordGap is called when nothing is pending, so that there is nothing to
// aggregate.
func (c directChain) RecordGap(ctx context.Context, next int64, reason string) (bool, error) {
	return c.segments.RecordGap(ctx, next, reason)
}

// slot is the partition that the journal's records are in: it has one.
const slot = 0

// directStore is the store behind the journal, which may be opened late.
type directStore struct {
	*process
	chains      *segment.Store // nil while it is not open
	unavailable error          // why, when that was tried at the start
	aggregation *aggregation
}

// openDirectStore opens the store, a directory or an object store. One that is not
// available is left to openChain if it may be late, and waited for otherwise.
func (p *process) openDirectStore(ctx context.Context, mayBeLate bool) (*directStore, error) {
	s := &directStore{process: p}
	if !mayBeLate {
		store, err := p.openStore(ctx)
		if err != nil {
			return nil, err
		}
		return s, s.use(store)
	}
	err := s.open(ctx)
	if errors.Is(err, segment.ErrUnavailable) {
		s.unavailable, err = err, nil
	}
	return s, err
}

func (s *directStore) open(ctx context.Context) error {
	store, err := segment.Open(ctx, s.cfg, s.logger, s.registry)
	if err != nil {
		return err
	}
	return s.use(store)
}

func (s *directStore) use(store *segment.Store) (err error) {
	if s.aggregation, err = s.openAggregation(store); err == nil {
		s.chains = store
	}
	return err
}

// openChain opens the journal's chain; see journal.OpenChain. What the start has
// found out of the store is not asked again.
func (s *directStore) openChain(ctx context.Context, id string, first int64) (journal.Chain, error) {
	if err := s.unavailable; err != nil {
		s.unavailable = nil
		return nil, err
	}
	if s.chains == nil {
		if err := s.open(ctx); err != nil {
			return nil, err
		}
	}
	sealed, err := s.chains.Open(ctx, s.cfg.Topic, id, slot, func(context.Context) (int64, error) { return first, nil })
	if err != nil {
		return nil, explainOther(err, s.cfg.Topic)
	}
	chain := directChain{sealed, sealed}
	if s.aggregation != nil {
		chain.Chain = s.aggregation.watch(sealed, s.cfg.Topic, id, slot)
	}
	return chain, nil
}

// explainOther says what another topic id means where the id is the journal's.
func explainOther(err error, topic string) error {
	var stop *segment.StopError
	if errors.As(err, &stop) && stop.Reason == "TopicRecreated" {
		return fmt.Errorf("the store has records of topic %q that did not come from this journal: choose another topic or another data directory, or put the journal back that they came from: %w", topic, err)
	}
	return err
}
