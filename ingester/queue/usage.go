package queue

import "time"

// Usage is how full the queue is.
type Usage struct {
	// Bytes are reserved of Capacity: for bodies being read, queued batches,
	// and batches not yet acknowledged by Kafka.
	Bytes, Capacity int64
	// Batches wait to be taken; Age is how long ago the first of them was
	// received, 0 if there is none. It grows while nobody takes any.
	Batches int
	Age     time.Duration
}

// Usage says how full the queue is now, at the same cost however full.
func (q *Queue) Usage() Usage {
	q.mu.Lock()
	defer q.mu.Unlock()
	u := Usage{Bytes: q.unput + q.put, Capacity: q.maxBytes, Batches: q.lenLocked()}
	if u.Batches > 0 {
		u.Age = max(0, time.Since(q.batches[q.head].Received))
	}
	return u
}
