package consumer

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/logpipeline/logpipeline/ingester/record"
)

// Reasons to seal, beside those of the chain.
const (
	sealRebalance = "rebalance"
	sealShutdown  = "shutdown"
	sealStop      = "stop"
	sealGap       = "gap"
)

// retainInterval is how often, less a random part of up to a quarter, a
// partition without seals looks at its retention.
const retainInterval = 5 * time.Minute

// confirmTimeout bounds how long a seal waits for Kafka to say that the topic
// is still the same.
const confirmTimeout = 3 * time.Second

// sealIfDue seals when that is due before next is appended. The worker is not
// alone when others turn out to have stored the partition meanwhile; fetching
// goes on where they are.
func (w *worker) sealIfDue(ctx context.Context, next record.Span) (alone bool, err error) {
	reason := w.chain.Due(time.Now(), next)
	if reason == "" {
		return true, nil
	}
	before := w.chain.NextOffset()
	if err := w.seal(ctx, reason); err != nil {
		return false, err
	}
	after := w.chain.NextOffset()
	if after != before {
		w.logger.Info("others have stored this partition meanwhile", "offset", before, "next", after)
	}
	return after == before, nil
}

// sealLast seals what is left when the partition is given away or stops.
func (w *worker) sealLast(ctx context.Context, reason string) error {
	if w.chain.NextOffset() == w.end {
		return nil
	}
	return w.seal(ctx, reason)
}

// seal seals and commits. It does not end with ctx, which the generation ends
// with and it may be the last act of, but with the drain's time.
//
// Only Kafka's word that the topic is another one keeps the segment from being
// sealed. When Kafka says nothing the segment is sealed nevertheless: what it
// holds may exist nowhere else any more, and every failed fetch has been
// followed by a confirmation.
func (w *worker) seal(ctx context.Context, reason string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Duration(w.config.Drain.TimeoutSeconds)*time.Second)
	defer cancel()
	started := time.Now()
	confirming, stopConfirming := context.WithTimeout(ctx, confirmTimeout)
	err := w.confirmTopic(confirming)
	stopConfirming()
	if _, stops := record.StopReason(err); stops {
		return err
	}
	before := w.chain.NextOffset()
	sealed, err := w.chain.Seal(ctx)
	if err != nil {
		return &storeError{err: err}
	}
	w.stored()
	if w.chain.NextOffset() != before { // others have
		w.epoch = w.chain.LeaderEpoch()
	}
	if sealed {
		w.metrics.sealed.WithLabelValues(reason).Inc()
		w.metrics.seal.Observe(time.Since(started).Seconds())
	}
	w.sealedUpTo(ctx, w.chain.NextOffset())
	w.retain(ctx)
	return nil
}

// retain removes what the retention no longer keeps. What it could not remove,
// it will the next time.
func (w *worker) retain(ctx context.Context) {
	w.retaining = time.Now().Add(retainInterval - rand.N(retainInterval/4))
	if err := w.chain.Retain(ctx, time.Now(), w.keep); err != nil && ctx.Err() == nil {
		w.logger.Warn("stored segments cannot be removed yet", "error", err)
	}
}

// retainIfDue is for partitions to which nothing comes: what they store grows
// old nevertheless.
func (w *worker) retainIfDue(ctx context.Context) {
	if ctx.Err() == nil && time.Now().After(w.retaining) {
		w.retain(ctx)
	}
}

// commitTimeout bounds a commit, on which nothing depends.
const commitTimeout = 5 * time.Second

// sealedUpTo commits the end of what is stored. A commit that fails is made
// good by the next one.
func (w *worker) sealedUpTo(ctx context.Context, offset int64) {
	w.end = offset
	w.tellSealed(offset)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), commitTimeout)
	defer cancel()
	if err := w.generation.Commit(ctx, w.partition, offset); err != nil {
		w.metrics.commits.WithLabelValues("failed").Inc()
		w.logger.Warn("offset cannot be committed", "offset", offset, "error", err)
		return
	}
	w.metrics.commits.WithLabelValues("done").Inc()
}
