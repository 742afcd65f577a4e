package producer

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/logpipeline/logpipeline/ingester/kafka"
	"github.com/logpipeline/logpipeline/ingester/record"
)

// searchPatience bounds how long a log that can't be searched is tried again.
const searchPatience = 10 * time.Second

var errSecondDoubt = errors.New("a second record batch is in doubt")

// doubt is a record batch that isn't sent again and may be in the log. Its
// numbers are left behind. While it is open its records stay reserved.
//
// To find it in the log settles it. Not to find it does once the brokers take
// it no more: when a later batch of the same producer id, under a higher
// epoch, is in the log. That one is the fence, and the search ends there.
type doubt struct {
	assignment record.Assignment
	sections   []section
	fenced     bool // the brokers have refused the epoch already
	cause      error
}

// fencedBy says whether a batch that is in the log under another id makes the
// brokers refuse this one.
func (d *doubt) fencedBy(id kafka.ProducerID) bool {
	return d.fenced || id.ID == d.assignment.ProducerID && id.Epoch > d.assignment.ProducerEpoch
}

// park keeps the parcel as the worker's doubt and moves on to other numbers. A
// worker has one doubt at most: an earlier one that still can't be decided is
// unknown for good.
func (w *worker) park(ctx context.Context, cause *inDoubtError) {
	if w.doubt != nil {
		w.decide(ctx, errSecondDoubt)
	}
	d := &doubt{
		assignment: w.assignment, sections: slices.Clone(w.parcel.sections),
		fenced: cause.verdict == kafka.ProducerLost, cause: cause.cause,
	}
	w.logger.Warn("record batch in doubt", "topic", w.topic, "partition", w.partition, "records", count(d.sections),
		"firstBatch", d.sections[0].request.batch.ID, "error", cause.cause)
	w.abandonNumbers(cause.verdict)
	w.away = true // look at the partition before more is taken for it
	if !w.identity.idempotent() {
		w.unknown(ctx, d, nil)
		return
	}
	w.hold(d)
	if ctx.Err() == nil {
		_, _ = w.look(ctx, -1) // ready does so again
	}
}

// hold keeps a doubt, or none.
func (w *worker) hold(d *doubt) {
	if w.doubt != nil {
		w.metrics.inDoubt.Dec()
	}
	if d != nil {
		w.metrics.inDoubt.Inc()
	}
	w.doubt = d
}

// look searches the log for the doubt, up to the offset to, or its end for -1.
// It settles the doubt when it is found.
func (w *worker) look(ctx context.Context, to int64) (found bool, err error) {
	d := w.doubt
	offset, found, err := w.find(ctx, d.assignment, to)
	if found {
		w.hold(nil)
		w.found(ctx, d.assignment, d.sections, offset)
	}
	return found, err
}

// found settles a record batch that the log has.
func (w *worker) found(ctx context.Context, a record.Assignment, sections []section, offset int64) {
	w.metrics.resolved("found")
	w.metrics.records.Add(float64(count(sections)))
	w.metrics.batches.Inc()
	w.placed(ctx, a, sections, offset)
}

// find searches the log for a record batch. A log that ends before the place
// where the search should begin was cut off, or the topic was created anew:
// then all of it is searched.
func (w *worker) find(ctx context.Context, a record.Assignment, to int64) (offset int64, found bool, err error) {
	start, end, err := w.client.Offsets(ctx, w.topic, w.partition)
	w.observeReachable(err)
	if err != nil {
		return 0, false, err
	}
	from := max(a.After, 0)
	if max(end, to) < from {
		from = start
	}
	return w.client.FindBatch(ctx, w.topic, w.partition, from, to, kafka.ProducerID{ID: a.ProducerID, Epoch: a.ProducerEpoch}, a.Sequence)
}

// canWait says that there is no hurry to settle the doubt.
func (d *doubt) canWait() bool {
	return !slices.ContainsFunc(d.sections, func(s section) bool { return !s.canWait() })
}

// resolve settles the doubt now that a batch is in the log, at the offset
// fence. A log that can't be read leaves it unknown; one that can be soon is
// waited for, as long as it takes where the doubt can wait.
func (w *worker) resolve(ctx context.Context, fence int64) {
	d := w.doubt
	deadline := time.Now().Add(min(searchPatience, w.limits.deliveryTimeout))
	for attempt := 0; ; attempt++ {
		found, err := w.look(ctx, fence)
		late := time.Now().After(deadline) && (!unreadable(err) || !d.canWait())
		switch {
		case found:
			return
		case err == nil && d.fencedBy(w.sentAs()):
			w.absent(ctx, d)
			return
		case err == nil:
			w.unknown(ctx, d, errors.New("it isn't in the log, but nothing keeps it from coming there"))
			return
		case !unreadable(err) && !errors.Is(err, kafka.ErrSearchUndecided), late, !wait(ctx, backoff(attempt)):
			w.unknown(ctx, d, err)
			return
		}
		w.troubled(ctx, "log can't be searched, retrying", err, "partition", w.partition)
	}
}

// decide settles the doubt without a fence, for a reason that allows no
// waiting: it is looked for once more.
func (w *worker) decide(ctx context.Context, why error) {
	d := w.doubt
	searching, cancel := w.searching.outlive(ctx)
	defer cancel()
	if found, err := w.look(searching, -1); !found {
		w.unknown(ctx, d, errors.Join(why, err))
	}
}

// absent settles a doubt that is not in the log and will not be.
func (w *worker) absent(ctx context.Context, d *doubt) {
	w.hold(nil)
	w.metrics.resolved("absent")
	w.giveUp(ctx, d.sections, fmt.Errorf("%w, the log was searched: %w", record.ErrNotDelivered, d.cause))
}

// unknown settles a doubt that can't be decided; err, unless it is nil, is why.
func (w *worker) unknown(ctx context.Context, d *doubt, err error) {
	w.hold(nil)
	w.metrics.resolved("unknown")
	reason := fmt.Errorf("%w: %w", record.ErrOutcomeUnknown, d.cause)
	if err != nil {
		reason = fmt.Errorf("%w (%w)", reason, err)
	}
	w.giveUp(ctx, d.sections, reason)
}

// sentAs is the producer id of the last batch that was sent.
func (w *worker) sentAs() kafka.ProducerID {
	return kafka.ProducerID{ID: w.assignment.ProducerID, Epoch: w.assignment.ProducerEpoch}
}

// unreadable says that a log can't be searched at present, but may be soon.
func unreadable(err error) bool {
	var code kafka.Error
	return errors.Is(err, kafka.ErrUnreachable) || errors.As(err, &code) && code.Temporary()
}
