package queue

import (
	"io"
	"time"

	"github.com/logpipeline/logpipeline/ingester/record"
)

// TakeOlder removes from the front of the queue the batches that were received
// before t, appends them to into, and never waits. It is for batches that
// nobody may wait for any longer; they belong to the caller as those of Take.
// The error is io.EOF when there is nothing left to take, now or later.
func (q *Queue) TakeOlder(t time.Time, into []*record.Batch) ([]*record.Batch, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for q.lenLocked() > 0 && q.batches[q.head].Received.Before(t) {
		into = append(into, q.popLocked())
	}
	q.signalLocked()
	if q.endedLocked() {
		return into, io.EOF
	}
	return into, nil
}
