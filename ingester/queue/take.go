package queue

import (
	"context"
	"io"
	"time"

	"github.com/logpipeline/logpipeline/ingester/record"
)

// Take removes batches from the front of the queue and appends them to into,
// which may be nil. It waits for the first, and then up to maxDelay for more,
// until maxRecords records or maxBytes bytes of records have been taken, or
// the next batch would exceed one of them. The first batch is always taken,
// so that a single one may exceed both. A value from lull, which may be nil,
// ends the waiting for more: there is nothing else to wait for meanwhile.
//
// The batches belong to the caller, who completes each and releases its
// reservation. With at least one batch the error is nil, also when ctx ends;
// with none it is ctx.Err(), or io.EOF once the queue is closed, empty, and no
// reservation is left from which a batch could still come.
func (q *Queue) Take(ctx context.Context, into []*record.Batch, maxRecords int, maxBytes int64, maxDelay time.Duration, lull <-chan struct{}) ([]*record.Batch, error) {
	t := take{batches: into, room: len(into), records: maxRecords, bytes: maxBytes}
	for q.moveTo(&t) == takeMore && t.empty() {
		select {
		case <-q.wake:
		case <-ctx.Done():
			return into, ctx.Err()
		}
	}
	if t.empty() {
		return into, io.EOF
	}
	if t.state == takeMore && maxDelay > 0 {
		q.linger(ctx, &t, maxDelay, lull)
	}
	return t.batches, nil
}

// linger waits for more batches to share the way of those in t.
func (q *Queue) linger(ctx context.Context, t *take, maxDelay time.Duration, lull <-chan struct{}) {
	select {
	case <-lull: // already, so don't even begin
		return
	default:
	}
	timer := q.startTimer(maxDelay)
	defer q.stopTimer(timer)
	for t.state == takeMore {
		select {
		case <-q.wake:
			q.moveTo(t)
		case <-timer.C:
			return
		case <-lull:
			return
		case <-ctx.Done():
			return
		}
	}
}

// startTimer and stopTimer are a pair. A taker lingers for a thousandth of a
// second and less, so that a timer of its own each time would be felt.
func (q *Queue) startTimer(d time.Duration) *time.Timer {
	timer, found := q.timers.Get().(*time.Timer)
	if !found {
		return time.NewTimer(d)
	}
	timer.Reset(d)
	return timer
}

func (q *Queue) stopTimer(timer *time.Timer) {
	timer.Stop() // and no tick is left in its channel, since Go 1.23
	q.timers.Put(timer)
}

// take is what one call of Take has gathered, and what it may still take.
type take struct {
	batches []*record.Batch
	room    int // length of batches before the first was taken
	records int
	bytes   int64
	state   takeState
}

type takeState int

const (
	takeMore  takeState = iota // the queue is empty, more may come
	takeFull                   // a limit is reached
	takeEnded                  // nothing more will ever come
)

func (t *take) empty() bool { return len(t.batches) == t.room }

// fits reports whether b may be taken beside what has been taken.
func (t *take) fits(b *record.Batch) bool {
	return t.empty() || b.Len() <= t.records && b.Bytes() <= t.bytes
}

func (t *take) add(b *record.Batch) {
	t.batches = append(t.batches, b)
	t.records -= b.Len()
	t.bytes -= b.Bytes()
}

// moveTo moves what is in the queue into t, as far as it fits.
func (q *Queue) moveTo(t *take) takeState {
	q.mu.Lock()
	defer q.mu.Unlock()
	t.state = takeMore
	for t.state == takeMore && q.lenLocked() > 0 {
		if !t.fits(q.batches[q.head]) {
			t.state = takeFull
			break
		}
		t.add(q.popLocked())
		if t.records <= 0 || t.bytes <= 0 {
			t.state = takeFull
		}
	}
	if t.state == takeMore && q.endedLocked() {
		t.state = takeEnded
	}
	q.signalLocked()
	return t.state
}
