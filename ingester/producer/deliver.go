package producer

import (
	"context"
	"fmt"
	"time"

	"github.com/logpipeline/logpipeline/ingester/kafka"
	"github.com/logpipeline/logpipeline/ingester/record"
)

// replicaTimeout bounds how long a broker waits for its in-sync replicas in
// one attempt.
const replicaTimeout = 10 * time.Second

// deliver sends the record batch in the builder until its fate is known, at
// most for the delivery timeout, which counts from here: a batch that waited
// in the queue while Kafka was away gets all of it. It returns the offset of
// the first record, or an error that wraps record.ErrTooLarge,
// record.ErrNotDelivered or record.ErrOutcomeUnknown.
func (w *worker) deliver(ctx context.Context) (int64, error) {
	deadline := time.Now().Add(w.limits.deliveryTimeout)
	inDoubt := false // any attempt may have appended the batch
	for attempt := 0; ; attempt++ {
		offset, verdict, err := w.attempt(ctx, deadline, inDoubt)
		switch verdict {
		case kafka.Acknowledged:
			w.identity.advance(w.builder.Len())
			return offset, nil
		case kafka.InDoubt:
			inDoubt = true
		case kafka.Retry:
		case kafka.Unexplained:
			return 0, w.giveUp(true, verdict, err)
		case kafka.TooLarge, kafka.Refused:
			return 0, w.giveUp(inDoubt, verdict, err)
		case kafka.Duplicate, kafka.SequenceLost, kafka.ProducerLost:
			if inDoubt {
				return 0, w.giveUp(inDoubt, verdict, err)
			}
			w.abandonNumbers(verdict)
		}
		if !w.retry(ctx, attempt, deadline, err) {
			w.away = true
			return 0, w.giveUp(inDoubt, verdict, err)
		}
	}
}

// attempt sends the batch once. Unless an earlier attempt is in doubt, its
// numbers are free, and it goes out under the worker's present ones; in doubt
// it goes out as it was.
func (w *worker) attempt(ctx context.Context, deadline time.Time, inDoubt bool) (int64, kafka.Verdict, error) {
	ctx, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	if !inDoubt {
		if err := w.identify(ctx); err != nil {
			return 0, kafka.Retry, err
		}
		w.produce.Batch = w.builder.Seal(w.identity.producer, w.identity.sequence)
	}
	w.produce.Timeout = max(min(replicaTimeout, time.Until(deadline)), time.Millisecond)
	began := time.Now()
	offset, err := w.client.Produce(ctx, &w.produce)
	w.metrics.observeAttempt(began, err)
	return offset, kafka.Classify(err), err
}

// retry waits before the next attempt; it is false when there is none.
func (w *worker) retry(ctx context.Context, attempt int, deadline time.Time, err error) bool {
	delay := backoff(attempt)
	if ctx.Err() != nil || time.Until(deadline) <= delay {
		return false
	}
	w.metrics.retries.WithLabelValues(kafka.Reason(err)).Inc()
	w.troubled(ctx, "record batch not acknowledged, retrying", err, "partition", w.partition, "attempt", attempt+1)
	return wait(ctx, delay)
}

// giveUp says what becomes of the records of a batch that isn't sent again.
// The numbers of a batch in doubt are never used for another.
func (w *worker) giveUp(inDoubt bool, verdict kafka.Verdict, err error) error {
	switch {
	case inDoubt:
		w.abandonNumbers(verdict)
		if verdict == kafka.Duplicate {
			return fmt.Errorf("%w: the broker has the records and doesn't say where: %w", record.ErrOutcomeUnknown, err)
		}
		return fmt.Errorf("%w: %w", record.ErrOutcomeUnknown, err)
	case verdict == kafka.TooLarge:
		return fmt.Errorf("%w: %w", record.ErrTooLarge, err)
	default:
		return fmt.Errorf("%w: %w", record.ErrNotDelivered, err)
	}
}

// abandonNumbers moves on to numbers that nobody has used. A raised epoch is
// enough while the brokers know the producer id as ours.
func (w *worker) abandonNumbers(verdict kafka.Verdict) {
	if verdict == kafka.ProducerLost || verdict == kafka.Duplicate {
		w.identity.lose()
		return
	}
	w.identity.raiseEpoch()
}
