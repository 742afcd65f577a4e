package ingester

import (
	"context"
	"crypto/rand"
	"iter"
	"time"

	"github.com/logpipeline/logpipeline/ingester/aggregate"
	"github.com/logpipeline/logpipeline/ingester/consumer"
	"github.com/logpipeline/logpipeline/ingester/record"
	"github.com/logpipeline/logpipeline/ingester/segment"
)

// sealTime is how long after a segment's age the seal, and the roll-up with it,
// is expected at the latest.
const sealTime = 10 * time.Second

// aggregation rolls up what is stored.
type aggregation struct{ recorder *aggregate.Recorder }

// openAggregation returns nil when the configuration asks for no aggregation.
// Otherwise GET /aggregates is answered at the admin address from here on.
func (p *process) openAggregation(store *segment.Store) (*aggregation, error) {
	if !p.cfg.Aggregation.Enabled() {
		return nil, nil
	}
	plan, err := aggregate.NewPlan(p.cfg.Aggregation)
	if err != nil {
		return nil, err
	}
	beside := SegmentArchive{store.Archive()}
	delay := time.Duration(p.cfg.Segment.MaxAgeSeconds)*time.Second + sealTime
	gauges := aggregate.NewGauges(plan, delay, time.Now)
	p.admin.mux.Handle("/aggregates", aggregate.NewHandler(plan, p.cfg.Topic, beside, p.logger))
	return &aggregation{aggregate.NewRecorder(plan, beside, gauges, p.logger, p.registry)}, nil
}

// watch aggregates what a chain seals.
func (a *aggregation) watch(chain consumer.Chain, topic, topicID string, partition int32) consumer.Chain {
	return &aggregatedChain{chain, a.recorder.Partition(topic, topicID, partition)}
}

type aggregatedChain struct {
	consumer.Chain
	recording *aggregate.Recording
}

func (c *aggregatedChain) Append(lines []byte, span record.Span) error {
	err := c.Chain.Append(lines, span)
	if err == nil {
		c.recording.Append(lines, span)
	}
	return err
}

func (c *aggregatedChain) Seal(ctx context.Context) (bool, error) {
	sealed, err := c.Chain.Seal(ctx)
	if sealed && err == nil {
		c.recording.Sealed(ctx)
	} else {
		c.recording.Drop()
	}
	return sealed, err
}

func (c *aggregatedChain) Close() error {
	c.recording.Drop()
	return c.Chain.Close()
}

// SegmentArchive gives a store of segments the words of aggregation.
type SegmentArchive struct{ *segment.Archive }

// Segments is that of aggregate.Rollups.
func (a SegmentArchive) Segments(ctx context.Context, topic string, from, to time.Time) iter.Seq2[aggregate.Source, error] {
	return func(yield func(aggregate.Source, error) bool) {
		for sealed, err := range a.Archive.Segments(ctx, topic, from, to) {
			if !yield(aggregate.Source(sealed), err) {
				return
			}
		}
	}
}

// Rollup is that of aggregate.Rollups.
func (a SegmentArchive) Rollup(ctx context.Context, name string) ([]byte, error) {
	return a.ReadBeside(ctx, name)
}

// Lines is that of aggregate.Records.
func (a SegmentArchive) Lines(ctx context.Context, of aggregate.Source) iter.Seq2[aggregate.Run, error] {
	return func(yield func(aggregate.Run, error) bool) {
		for line, err := range a.Archive.Lines(ctx, of.Topic, of.TopicID, of.Partition, of.BaseOffset) {
			if !yield(aggregate.Run{Lines: line.Bytes, Timestamp: line.Timestamp}, err) {
				return
			}
		}
	}
}

// WriteRollup is that of aggregate.Writer.
func (a SegmentArchive) WriteRollup(ctx context.Context, name string, document []byte) error {
	return a.WriteBeside(ctx, rand.Text(), name, document)
}
