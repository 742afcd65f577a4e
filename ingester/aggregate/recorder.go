package aggregate

import (
	"context"
	"log/slog"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/logpipeline/logpipeline/ingester/record"
)

// Writer keeps roll-ups.
type Writer interface {
	// WriteRollup stores a document under a name, in the place of what may be
	// there; whoever reads the name gets one of the two, whole.
	WriteRollup(ctx context.Context, name string, document []byte) error
}

// Recorder aggregates all that a process stores. It is safe for concurrent use.
type Recorder struct {
	plan    *Plan
	to      Writer
	gauges  *Gauges
	logger  *slog.Logger
	written prometheus.Counter
	failed  prometheus.Counter
}

// NewRecorder returns a recorder that writes roll-ups to a store, and shows
// them on gauges, which it registers.
func NewRecorder(plan *Plan, to Writer, gauges *Gauges, logger *slog.Logger, reg prometheus.Registerer) *Recorder {
	count := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: "logpipeline_aggregate_" + name, Help: help})
	}
	r := &Recorder{
		plan: plan, to: to, gauges: gauges, logger: logger,
		written: count("rollups_written_total", "Roll-ups that were written beside their segment."),
		failed:  count("rollups_failed_total", "Roll-ups that could not be written; answers say that they are missing."),
	}
	reg.MustRegister(gauges, r.written, r.failed)
	return r
}

// Partition returns the recording of one partition's chain.
func (r *Recorder) Partition(topic, topicID string, partition int32) *Recording {
	return &Recording{recorder: r, of: Source{Topic: topic, TopicID: topicID, Partition: partition}}
}

// Recording aggregates the segment that a chain writes. It belongs to whom the
// chain belongs to.
type Recording struct {
	recorder *Recorder
	of       Source
	rollup   *Rollup // nil while nothing has been appended
}

// Append counts what has been appended to the chain; lines is not kept.
func (c *Recording) Append(lines []byte, span record.Span) {
	if c.rollup == nil {
		c.rollup = c.recorder.plan.NewRollup()
		c.of.BaseOffset = span.BaseOffset
	}
	c.rollup.Add(lines, span.FirstTimestamp)
	c.of.NextOffset = span.NextOffset
}

// Sealed writes the roll-up of what has been appended, which the chain has
// sealed, and begins the next one. A roll-up that can't be written is counted
// and logged, and harms nobody: it can be computed again.
func (c *Recording) Sealed(ctx context.Context) {
	if c.rollup == nil {
		return
	}
	r, rollup := c.recorder, c.rollup
	c.rollup = nil
	r.gauges.Observe(rollup)
	if err := r.to.WriteRollup(ctx, r.plan.Name(c.of), rollup.Encode(c.of)); err != nil {
		r.failed.Inc()
		r.logger.Warn("roll-up cannot be written; count it later with ingester aggregate --write",
			"partition", c.of.Partition, "offset", c.of.BaseOffset, "error", err)
		return
	}
	r.written.Inc()
}

// Drop forgets what has been appended, which the chain has given up.
func (c *Recording) Drop() { c.rollup = nil }
