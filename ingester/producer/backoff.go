package producer

import (
	"context"
	"math/rand/v2"
	"time"
)

const (
	minBackoff = 50 * time.Millisecond
	maxBackoff = 2 * time.Second
)

// backoff is how long to wait after the attempt of that number, from 0 on: it
// doubles up to a bound, and half of it is random, so that clients don't come
// back all at once.
func backoff(attempt int) time.Duration {
	d := min(minBackoff<<min(attempt, 10), maxBackoff)
	return d/2 + rand.N(d/2)
}

// wait is false when the context ends first.
func wait(ctx context.Context, d time.Duration) bool { return pause(ctx, nil, d) }

// pause waits; it is false as soon as the context ends, or done is closed.
func pause(ctx context.Context, done <-chan struct{}, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-done:
		return false
	case <-ctx.Done():
		return false
	}
}
