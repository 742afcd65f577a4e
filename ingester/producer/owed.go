package producer

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/logpipeline/logpipeline/ingester/record"
)

// canWait says that records may be sent again for as long as it takes: the
// spool has them, whose bound is the one that counts then, and nobody waits to
// be told that they aren't delivered.
func (s section) canWait() bool {
	b := s.request.batch
	return b.Position != 0 && !b.Attended()
}

// owe keeps what can wait for another round of this worker, which takes nothing
// else before, and returns what is to be given up. What is unknown can't be
// sent again; what the end of the process stops stays in the spool.
func (w *worker) owe(ctx context.Context, sections []section, err error) (rest []section) {
	if errors.Is(err, record.ErrOutcomeUnknown) || errors.Is(err, errStopped) {
		return sections
	}
	before := len(w.owed)
	for _, s := range sections {
		if s.canWait() {
			w.owed = append(w.owed, s)
		} else {
			rest = append(rest, s)
		}
	}
	if n := count(w.owed[before:]); n > 0 {
		w.troubled(ctx, "records can't be delivered yet; the spool has them, and they are sent again", err, "partition", w.partition, "records", n)
	}
	return rest
}

// next is what the worker is to deliver: what it owes, or what its feed has.
func (w *worker) next(ctx context.Context) error {
	if len(w.owed) > 0 {
		w.group = append(w.group[:0], w.owed...)
		clear(w.owed)
		w.owed = w.owed[:0]
		return nil
	}
	var err error
	w.group, err = w.feed.take(ctx, w.group[:0])
	return err
}

// leaveOwed leaves to the spool what is owed when the time is over.
func (w *worker) leaveOwed(ctx context.Context) {
	if len(w.owed) > 0 {
		w.failed(ctx, w.owed, fmt.Errorf("%w: %w", record.ErrNotDelivered, errStopped))
		w.owed = nil
	}
}

// resendable says that the parcel, which is in doubt, may be sent as it is until
// there is an answer: it can be settled in no better way, and costs nobody
// anything while the spool has all of it. (A client that waits for a part of it
// is told by its own time-out that nobody knows.) Brokers that may have
// forgotten its producer id must not get it any more.
func (w *worker) resendable() bool {
	for _, s := range w.parcel.sections {
		if s.request.batch.Position == 0 {
			return false
		}
	}
	return time.Since(w.assignment.Time) < forgetful
}
