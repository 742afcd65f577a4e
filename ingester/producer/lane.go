package producer

import (
	"context"
	"io"
	"sync"
	"time"
)

// lane is what waits for one partition, in order. It has no bound of its own:
// the bytes of its records stay reserved in the queue.
type lane struct {
	partition int32
	limits    limits
	wake      chan struct{} // holds a token while there may be something to see
	ended     chan struct{} // closed when the lane is closed and empty

	mu       sync.Mutex
	sections []waiting
	bytes    int64
	closed   bool
}

// waiting is a section and the size of its records.
type waiting struct {
	section
	bytes int64
}

func newLane(partition int32, l limits) *lane {
	return &lane{partition: partition, limits: l, wake: make(chan struct{}, 1), ended: make(chan struct{})}
}

func (l *lane) drained() <-chan struct{} { return l.ended }

func (l *lane) put(s section, bytes int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sections = append(l.sections, waiting{s, bytes})
	l.bytes += bytes
	l.signal()
}

// close says that nothing more will be put.
func (l *lane) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	l.checkEnded()
	l.signal()
}

// load is how many bytes of records wait.
func (l *lane) load() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.bytes
}

// take implements feed: it waits for a first section and then up to the
// configured delay for more to fill a record batch.
func (l *lane) take(ctx context.Context, into []section) ([]section, error) {
	room := len(into)
	left := l.limits
	var lingered <-chan time.Time
	for {
		var more bool
		into, more = l.move(into, &left)
		switch {
		case len(into) > room && !more:
			return into, nil
		case !more:
			return into, io.EOF
		case len(into) > room && lingered == nil:
			timer := time.NewTimer(l.limits.delay)
			defer timer.Stop() // once: lingered is set from here on
			lingered = timer.C
		}
		select {
		case <-l.wake:
		case <-lingered:
			return into, nil
		case <-ctx.Done():
			if len(into) > room {
				return into, nil
			}
			return into, ctx.Err()
		}
	}
}

// move moves sections into a group as far as they fit; more says that the
// group has room and something may still come.
func (l *lane) move(into []section, left *limits) (group []section, more bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for len(l.sections) > 0 && left.records > 0 && left.bytes > 0 {
		next := l.pop()
		into = append(into, next.section)
		left.records -= next.len()
		left.bytes -= int(next.bytes)
	}
	return into, left.records > 0 && left.bytes > 0 && !l.closed
}

// older takes the sections of requests that were received before t.
func (l *lane) older(t time.Time) (overdue []section) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for len(l.sections) > 0 && l.sections[0].request.batch.Received.Before(t) {
		overdue = append(overdue, l.pop().section)
	}
	return overdue
}

func (l *lane) pop() waiting {
	next := l.sections[0]
	l.sections[0] = waiting{}
	l.sections = l.sections[1:]
	l.bytes -= next.bytes
	l.checkEnded()
	return next
}

// checkEnded: pop is not called on an empty lane, so that the channel is closed
// once, by the last pop or by close.
func (l *lane) checkEnded() {
	if l.closed && len(l.sections) == 0 {
		close(l.ended)
	}
}

func (l *lane) signal() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}
