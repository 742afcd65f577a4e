package ingester

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/logpipeline/logpipeline/ingester/consumer"
	"github.com/logpipeline/logpipeline/ingester/kafka"
	"github.com/logpipeline/logpipeline/ingester/record"
)

// progress is how far the chains of this process have come. The standalone
// role needs it to end: it must not stop before the last acknowledged record
// is stored.
type progress struct {
	mu       sync.Mutex
	appended map[int32]int64 // by partition: the next offset to append
	sealed   map[int32]int64 // by partition: the end of what is sealed
}

func newProgress() *progress {
	return &progress{appended: map[int32]int64{}, sealed: map[int32]int64{}}
}

func (p *progress) watch(chain consumer.Chain, partition int32) consumer.Chain {
	w := &watchedChain{Chain: chain, partition: partition, progress: p}
	w.noteSealed()
	return w
}

// watchedChain tells a progress what happens to a chain.
type watchedChain struct {
	consumer.Chain
	partition int32
	progress  *progress
}

func (w *watchedChain) Append(lines []byte, span record.Span) error {
	err := w.Chain.Append(lines, span)
	if err == nil {
		w.progress.mu.Lock()
		defer w.progress.mu.Unlock()
		w.progress.appended[w.partition] = w.NextOffset()
	}
	return err
}

func (w *watchedChain) Seal(ctx context.Context) (bool, error) {
	sealed, err := w.Chain.Seal(ctx)
	if err == nil {
		w.noteSealed()
	}
	return sealed, err
}

func (w *watchedChain) RecordGap(ctx context.Context, next int64, reason string) (bool, error) {
	recorded, err := w.Chain.RecordGap(ctx, next, reason)
	if err == nil {
		w.noteSealed()
	}
	return recorded, err
}

// noteSealed is called when nothing is appended that isn't sealed.
func (w *watchedChain) noteSealed() {
	w.progress.mu.Lock()
	defer w.progress.mu.Unlock()
	w.progress.appended[w.partition] = w.NextOffset()
	w.progress.sealed[w.partition] = w.NextOffset()
}

// behind says which partitions have not reached their end, nil when all have.
func (p *progress) behind(reached map[int32]int64, ends map[int32]int64) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	var errs []error
	for partition, end := range ends {
		if at := reached[partition]; at < end {
			errs = append(errs, fmt.Errorf("partition %d is stored up to offset %d, but its log ends at %d: start again to store the rest", partition, at, end))
		}
	}
	return errors.Join(errs...)
}

// awaitAppended waits until every partition has been read to its end.
func (p *progress) awaitAppended(ctx context.Context, ends map[int32]int64) error {
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for {
		err := p.behind(p.appended, ends)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return err
		case <-ticker.C:
		}
	}
}

// logEnds asks for the end of every partition of a topic.
func logEnds(ctx context.Context, client *kafka.Client, topicName string) (map[int32]int64, error) {
	topic, err := client.Topic(ctx, topicName)
	if err != nil {
		return nil, fmt.Errorf("find the end of the log: %w", err)
	}
	ends := make(map[int32]int64, len(topic.Partitions))
	for _, partition := range topic.Partitions {
		_, end, err := client.Offsets(ctx, topicName, partition.ID)
		if err != nil {
			return nil, fmt.Errorf("find the end of the log: %w", err)
		}
		ends[partition.ID] = end
	}
	return ends, nil
}
