package producer

import (
	"context"
	"errors"
	"fmt"
	"time"

	kafkago "github.com/segmentio/kafka-go"

	"github.com/logpipeline/logpipeline/ingester/kafka"
	"github.com/logpipeline/logpipeline/ingester/record"
)

// replicaTimeout bounds how long a broker waits for its in-sync replicas in
// one attempt.
const replicaTimeout = 10 * time.Second

// inDoubtError is a record batch that may be in the log, and isn't sent again.
type inDoubtError struct {
	verdict kafka.Verdict // of the last attempt
	cause   error
}

func (e *inDoubtError) Error() string { return fmt.Sprintf("in doubt: %v", e.cause) }
func (e *inDoubtError) Unwrap() error { return e.cause }

// deliver sends the record batch in the parcel until its fate is known, at
// most for the delivery timeout, which counts from here: a batch that waited
// in the queue while Kafka was away gets all of it. One that is in doubt by
// then goes on as long as it is resendable. With inDoubt, an earlier process
// may have appended it, and it is sealed as it was then.
//
// It returns the offset of the first record, or an error: an inDoubtError, or
// one that wraps record.ErrTooLarge, record.ErrRefused or
// record.ErrNotDelivered.
func (w *worker) deliver(ctx context.Context, inDoubt bool) (int64, error) {
	deadline := time.Now().Add(w.limits.deliveryTimeout)
	reopened := inDoubt
	w.firstSent = time.Time{}
	for attempt := 0; ; attempt++ {
		offset, verdict, err := w.attempt(ctx, deadline, inDoubt)
		switch verdict {
		case kafka.Acknowledged:
			w.identity.advance(w.parcel.builder.Len())
			return offset, nil
		case kafka.Unexplained:
			return 0, &inDoubtError{verdict, err}
		case kafka.InDoubt:
			inDoubt = true
		case kafka.Retry:
		case kafka.TooLarge, kafka.Refused:
			if inDoubt {
				return 0, &inDoubtError{verdict, err}
			}
			return 0, refusal(verdict, err)
		case kafka.Duplicate, kafka.SequenceLost, kafka.ProducerLost:
			if inDoubt {
				return 0, &inDoubtError{verdict, err}
			}
			w.abandonNumbers(verdict)
		}
		if inDoubt && !reopened && w.resendable() {
			deadline = time.Now().Add(maxBackoff + w.limits.deliveryTimeout)
		}
		if !w.retry(ctx, attempt, deadline, err) {
			w.away = true
			if inDoubt {
				return 0, &inDoubtError{verdict, err}
			}
			return 0, fmt.Errorf("%w: %w", record.ErrNotDelivered, ended(ctx, err))
		}
	}
}

// attempt sends the batch once. Unless an earlier attempt is in doubt, its
// numbers are free, and it goes out under the worker's present ones; in doubt
// it goes out as it was.
func (w *worker) attempt(ctx context.Context, deadline time.Time, inDoubt bool) (int64, kafka.Verdict, error) {
	if !inDoubt {
		if err := w.number(ctx, deadline); err != nil {
			return 0, kafka.Retry, err
		}
		w.produce.Batch = w.parcel.builder.Seal(w.identity.producer, w.identity.sequence)
	}
	w.produce.Deadline = deadline
	w.produce.Timeout = max(min(replicaTimeout, time.Until(deadline)), time.Millisecond)
	began := time.Now()
	if w.firstSent.IsZero() {
		w.firstSent = began
	}
	offset, err := w.client.Produce(ctx, &w.produce)
	w.observeAttempt(began, err)
	return offset, kafka.Classify(err), err
}

// number sees to the numbers that the batch is to go out under. Mostly they are
// at hand, and nothing can take long.
func (w *worker) number(ctx context.Context, deadline time.Time) error {
	if !w.identity.known || w.journal != nil {
		bounded, cancel := context.WithDeadline(ctx, deadline)
		defer cancel()
		ctx = bounded
	}
	if err := w.identify(ctx); err != nil {
		return err
	}
	return w.assign(ctx)
}

// retry waits before the next attempt; it is false when there is none.
func (w *worker) retry(ctx context.Context, attempt int, deadline time.Time, err error) bool {
	delay := backoff(attempt)
	if ctx.Err() != nil || time.Until(deadline) <= delay {
		return false
	}
	w.metrics.retries.WithLabelValues(label(err)).Inc()
	w.troubled(ctx, "record batch not acknowledged, retrying", err, "partition", w.partition, "attempt", attempt+1)
	return wait(ctx, delay)
}

// ended is why a batch isn't sent again: at the hard deadline for that alone.
func ended(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("%w: %w", errStopped, err)
	}
	return err
}

// refusal is a definite refusal that asking again won't change. (A batch whose
// checksum the broker finds wrong is not one: it was damaged on its way, and is
// sent again until the delivery timeout.)
func refusal(verdict kafka.Verdict, err error) error {
	switch {
	case verdict == kafka.TooLarge:
		return fmt.Errorf("%w: %w", record.ErrTooLarge, err)
	case errors.Is(err, kafkago.InvalidRecord) || errors.Is(err, kafkago.InvalidTimestamp):
		return fmt.Errorf("%w: %w", record.ErrRefused, err)
	default: // it is not about these records: no permission, for example
		return fmt.Errorf("%w: %w", record.ErrNotDelivered, err)
	}
}

// poisoned says that one of the records is why a record batch was refused.
func poisoned(err error) bool {
	return errors.Is(err, record.ErrTooLarge) || errors.Is(err, record.ErrRefused)
}

// abandonNumbers moves on to numbers that nobody has used. A raised epoch is
// enough while the brokers know the producer id as ours.
func (w *worker) abandonNumbers(verdict kafka.Verdict) {
	if verdict == kafka.ProducerLost {
		w.identity.lose()
		return
	}
	w.identity.raiseEpoch()
}
