package producer

import (
	"context"
	"errors"
	"fmt"

	"github.com/logpipeline/logpipeline/ingester/record"
)

// deliverGroup sends the records of the sections in as few record batches as
// the limits allow. What can't be sent because the partition can't be written
// isn't tried again for those behind it: they would wait as long once more.
// Afterwards each section is settled, in doubt or owed.
func (w *worker) deliverGroup(ctx context.Context, group []section) {
	w.parcel.reset()
	for i, s := range group {
		for s.from < s.to {
			s.from = w.parcel.add(s, w.limits)
			if s.from == s.to {
				break
			}
			err := w.send(ctx)
			if err != nil {
				w.giveUp(ctx, append([]section{s}, group[i+1:]...), err)
				return
			}
			w.parcel.reset()
		}
	}
	if len(w.parcel.sections) > 0 {
		_ = w.send(ctx) // nothing is behind it
	}
	w.parcel.reset()
}

// send delivers the parcel's records and settles them, unless they are in
// doubt. An error is why nothing can be written at present.
//
// A record batch that is refused for a record is halved until that stands
// alone, so that one request's bad record fails no other, not even of its own
// request.
func (w *worker) send(ctx context.Context) error {
	n := w.parcel.builder.Len()
	w.assigned = false
	offset, err := w.inFlight(n, func() (int64, error) { return w.deliver(ctx, false) })
	sections := w.parcel.sections
	var doubtful *inDoubtError
	switch {
	case err == nil:
		w.acknowledged(ctx, w.assignment, sections, offset)
		return nil
	case errors.As(err, &doubtful):
		w.park(ctx, doubtful)
		return nil
	case poisoned(err) && n == 1:
		w.failed(ctx, sections, sections[0].describe(err))
		return nil
	case poisoned(err):
		return w.sendHalves(ctx, sections)
	default:
		w.setbacks++
		w.away = true
		w.giveUp(ctx, sections, err)
		return err
	}
}

func (w *worker) sendHalves(ctx context.Context, sections []section) error {
	first, second := halve(sections)
	w.parcel.encode(first)
	if err := w.send(ctx); err != nil {
		w.giveUp(ctx, second, err)
		return err
	}
	w.parcel.encode(second)
	return w.send(ctx)
}

// inFlight counts records while they are on their way.
func (w *worker) inFlight(n int, deliver func() (int64, error)) (int64, error) {
	w.metrics.inFlight.Add(float64(n))
	defer w.metrics.inFlight.Sub(float64(n))
	return deliver()
}

// acknowledged settles the sections, which are in the log from offset on, and
// what that says of an earlier doubt.
func (w *worker) acknowledged(ctx context.Context, a record.Assignment, sections []section, offset int64) {
	w.metrics.acknowledged(w.parcel.builder.Len(), len(w.produce.Batch))
	w.progress.acknowledge(w.firstSent)
	w.setbacks = 0
	w.after = offset + int64(w.parcel.builder.Len())
	w.placed(ctx, a, sections, offset)
	if w.doubt != nil {
		w.resolve(ctx, offset)
	}
	if w.identity.spent() && w.doubt == nil {
		w.identity.lose()
	}
}

// placed settles the sections of a record batch that is in the log.
func (w *worker) placed(ctx context.Context, a record.Assignment, sections []section, offset int64) {
	if w.journal != nil && len(a.Sections) > 0 {
		w.journal.Settle(a)
	}
	for _, s := range sections {
		if s.request.place(w.topic, w.partition, offset, s.len()) {
			w.complete(ctx, s.request)
		}
		offset += int64(s.len())
	}
}

// giveUp settles sections that were not delivered, and logs it, but for those
// that can wait, which are owed.
func (w *worker) giveUp(ctx context.Context, sections []section, err error) {
	if sections = w.owe(ctx, sections, err); len(sections) == 0 {
		return
	}
	w.logger.Error("records given up", "topic", w.topic, "partition", w.partition,
		"records", count(sections), "firstBatch", sections[0].request.batch.ID, "error", err)
	w.failed(ctx, sections, err)
}

// failed settles sections that were not delivered.
func (w *worker) failed(ctx context.Context, sections []section, err error) {
	err = fmt.Errorf("partition %d of topic %q: %w", w.partition, w.topic, err)
	settlement := w.settlement(w.partition, sections)
	var settled []*request
	for _, s := range sections {
		if !s.request.kept(err) {
			w.metrics.failed(s.len(), err)
		}
		if s.request.fail(failure{s, w.partition, err, settlement}) {
			settled = append(settled, s.request)
		}
	}
	w.complete(ctx, settled...)
}
