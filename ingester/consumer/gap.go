package consumer

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/logpipeline/logpipeline/ingester/config"
)

// maxReason bounds what a chain is told of a gap, in bytes.
const maxReason = 1000

// goesOn: the partition shall go on where records are gone.
func (w *worker) goesOn() bool { return w.config.Consumer.OnLoss == config.OnLossRecordGap }

// goOnBehind records the gap where records are gone, if that is what shall
// happen and would help; otherwise the error stays. A topic that was created
// again is never gone on with: its offsets are others.
func (w *worker) goOnBehind(ctx context.Context, err error) error {
	var lost *stopError
	if !w.goesOn() || !errors.As(err, &lost) || lost.behind == 0 {
		return err
	}
	return w.recordGap(ctx, lost.behind, lost.reason, lost.Error())
}

// recordGap seals what is appended, and then records that the records from
// there up to next are not stored. When others turn out to have stored the
// partition, it records nothing; fetching goes on where they are.
func (w *worker) recordGap(ctx context.Context, next int64, reason, text string) error {
	if w.chain.NextOffset() != w.end {
		before := w.chain.NextOffset()
		if err := w.seal(ctx, sealGap); err != nil || w.chain.NextOffset() != before {
			return err
		}
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Duration(w.config.Drain.TimeoutSeconds)*time.Second)
	defer cancel()
	// Whatever was read before this came from the topic whose chain this is.
	if err := w.confirmTopic(ctx); err != nil {
		return err
	}
	first := w.chain.NextOffset()
	recorded, err := w.chain.RecordGap(ctx, next, text[:min(len(text), maxReason)])
	if err != nil {
		return &storeError{err: fmt.Errorf("record that offsets %d to %d are not stored: %w", first, next-1, err)}
	}
	if recorded {
		w.metrics.gaps.WithLabelValues(reason).Inc()
		w.metrics.gapOffsets.WithLabelValues(reason).Add(float64(next - first))
		w.logger.Warn("gap recorded: these offsets are not stored", "reason", reason, "first", first, "last", next-1, "why", text)
	}
	w.stored()
	w.epoch = w.chain.LeaderEpoch()
	w.sealedUpTo(ctx, w.chain.NextOffset())
	return nil
}
