package producer

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/logpipeline/logpipeline/ingester/kafka"
	"github.com/logpipeline/logpipeline/ingester/record"
)

// forgetful is the age from which on the brokers might not know a producer id
// any more, and would append what they have: half of Kafka's default of
// producer.id.expiration.ms.
const forgetful = 12 * time.Hour

// reopen settles what an earlier run left open, in order. What can't be
// settled before the end stays in the spool.
func (w *worker) reopen(ctx context.Context) {
	for _, r := range w.reopened {
		var sections []section
		for _, b := range r.Batches {
			sections = append(sections, section{newRequest(b, nil), 0, b.Len()})
		}
		w.settleReopened(ctx, r.Assignment, sections)
	}
	w.parcel.reset()
	if len(w.reopened) > 0 && w.doubt == nil {
		w.identity = w.newcomer() // the numbers were another process's
	}
	w.reopened = nil
}

// settleReopened sends a record batch once more, as it was; only one that the
// brokers may have forgotten, or don't take, is looked for in the log. Nobody
// waits for it, so that it is tried until the end.
func (w *worker) settleReopened(ctx context.Context, a record.Assignment, sections []section) {
	resend := time.Since(a.Time) < forgetful
	for attempt := 0; w.ready(ctx); attempt++ {
		if attempt > 0 && !w.pause(ctx, backoff(attempt)) {
			break
		}
		if resend {
			offset, err := w.resend(ctx, a, sections)
			if err == nil {
				w.acknowledged(ctx, a, w.parcel.sections, offset)
				return
			}
			if w.away { // no answer so far
				continue
			}
		}
		offset, found, err := w.find(ctx, a, -1)
		switch {
		case found:
			w.found(ctx, a, sections, offset)
			return
		case err == nil:
			w.metrics.resolved("absent")
			w.sendAnew(ctx, a, sections)
			return
		case !unreadable(err):
			w.unknown(ctx, &doubt{assignment: a, sections: sections, cause: errReopened}, err)
			return
		}
		w.away = true
	}
	w.failed(ctx, sections, fmt.Errorf("%w: %w", record.ErrOutcomeUnknown, errStopped))
}

var errReopened = errors.New("sent before the process was restarted")

// resend sends a record batch as the journal has it.
func (w *worker) resend(ctx context.Context, a record.Assignment, sections []section) (int64, error) {
	w.assume(a)
	w.parcel.encode(sections)
	w.assignment = a
	w.produce.Batch = w.parcel.builder.Seal(w.identity.producer, w.identity.sequence)
	return w.inFlight(w.parcel.builder.Len(), func() (int64, error) { return w.deliver(ctx, true) })
}

// sendAnew sends what isn't in the log under numbers of its own. The raised
// epoch keeps out what may still be on its way from the process that is gone.
func (w *worker) sendAnew(ctx context.Context, a record.Assignment, sections []section) {
	w.assume(a)
	w.identity.raiseEpoch()
	w.deliverGroup(ctx, sections)
}

// assume goes on as the writer of an assignment.
func (w *worker) assume(a record.Assignment) {
	w.identity = identity{producer: kafka.ProducerID{ID: a.ProducerID, Epoch: a.ProducerEpoch}, sequence: a.Sequence, known: true}
}
