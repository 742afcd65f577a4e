package kafka

import (
	"context"
	"errors"
	"sync"
	"time"

	kafkago "github.com/segmentio/kafka-go"
)

const (
	// layoutPause is the least time between two readings of the layout that
	// failures asked for, whatever the number of partitions in trouble.
	layoutPause = 50 * time.Millisecond
	// layoutTimeout bounds one of them. What waits for it then goes on with
	// the layout that there is.
	layoutTimeout = 3 * time.Second
)

// layout is whether the transport's picture of the cluster, which broker leads
// which partition and where, is worth asking by. The transport reads it again
// at random times; after an answer, or a silence, that says that a leader has
// changed it is read at once, and everybody's next exchange waits for that.
type layout struct {
	mutex   sync.Mutex
	stale   bool
	reading chan struct{} // closed when the reading under way is over; nil without one
	last    time.Time     // when it was over
}

// suspect notes what an exchange with a leader ended in.
func (l *layout) suspect(err error) {
	if err == nil || !speaksOfLayout(err) {
		return
	}
	l.mutex.Lock()
	l.stale = true
	l.mutex.Unlock()
}

// speaksOfLayout says whether the error may mean that somebody else leads the
// partition now, or that its leader is elsewhere.
func speaksOfLayout(err error) bool {
	var code Error
	if !errors.As(err, &code) {
		return errors.Is(err, ErrUnreachable)
	}
	switch code {
	case NotLeader, LeaderNotAvailable, UnknownTopic, FencedLeaderEpoch, UnknownLeaderEpoch,
		kafkago.ReplicaNotAvailable, kafkago.KafkaStorageError:
		return true
	}
	return false
}

// current returns when the layout isn't stale, after having it read if need
// be; at the latest when that has failed, or ctx ends.
func (l *layout) current(ctx context.Context, read func(context.Context) error) {
	l.mutex.Lock()
	under := l.reading
	if under == nil && l.stale {
		l.reading, l.stale = make(chan struct{}), false
		pause := layoutPause - time.Since(l.last)
		l.mutex.Unlock()
		l.read(ctx, pause, read)
		return
	}
	l.mutex.Unlock()
	if under != nil {
		select {
		case <-under:
		case <-ctx.Done():
		}
	}
}

func (l *layout) read(ctx context.Context, pause time.Duration, read func(context.Context) error) {
	ctx, cancel := context.WithTimeout(ctx, layoutTimeout)
	defer cancel()
	select {
	case <-time.After(pause):
	case <-ctx.Done():
	}
	err := read(ctx)
	l.mutex.Lock()
	defer l.mutex.Unlock()
	l.stale = l.stale || err != nil
	l.last = time.Now()
	close(l.reading)
	l.reading = nil
}

// readLayout makes the transport read the layout again, and waits for that.
func (c *Client) readLayout(ctx context.Context) error {
	_, err := c.transport.RoundTrip(ctx, c.address, layoutReading{})
	return err
}
