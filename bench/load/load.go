// Package load sends rendered HTTP/1.1 requests to one server over a number of
// keep-alive connections and measures how long the answers take. It costs
// little CPU itself, for it shares the machine with what it measures.
package load

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// refusalPause is how long a connection waits after a 429 or 503, so that a
// full server is not measured by how fast it says no.
const refusalPause = 20 * time.Millisecond

// Shape is how requests follow each other.
type Shape struct {
	Connections int
	// Rate is the requests per second of all connections together, sent at
	// even intervals whether or not earlier ones were answered, while a
	// connection is free; a request that had to wait for one counts its
	// latency from when it was due. 0: each connection sends its next request
	// when it has its answer.
	Rate int
	// Patience is how long an answer may take before the connection is
	// given up.
	Patience time.Duration
}

// Sample is an acknowledged request.
type Sample struct {
	Began time.Time // when it was sent, or due
	Took  time.Duration
}

// Counts are requests by what became of them.
type Counts struct {
	Acknowledged int64 // any 2xx
	Refused      int64 // 429 and 503
	Failed       int64 // another status, or no answer: the outcome may be unknown
}

// Load is one run of requests against a server.
type Load struct {
	address  string
	requests [][]byte
	shape    Shape

	acknowledged, refused, failed atomic.Int64

	mu           sync.Mutex
	samples      []Sample
	firstFailure error
}

// New prepares a load of requests, which are used in turn and not changed.
func New(address string, requests [][]byte, shape Shape) *Load {
	return &Load{address: address, requests: requests, shape: shape}
}

// Render returns a POST request with its header, ready to be sent.
func Render(address, path, contentType string, body []byte) []byte {
	request := fmt.Appendf(nil, "POST %s HTTP/1.1\r\nHost: %s\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n", path, address, contentType, len(body))
	return append(request, body...)
}

// Run sends until ctx ends, then waits for the answers that are still out.
func (l *Load) Run(ctx context.Context) {
	var running sync.WaitGroup
	var due chan time.Time
	if l.shape.Rate > 0 {
		due = make(chan time.Time, 10*l.shape.Rate) // as many as can wait for a connection
		running.Go(func() { schedule(ctx, due, time.Second/time.Duration(l.shape.Rate)) })
	}
	for i := range l.shape.Connections {
		running.Go(func() { l.drive(ctx, i, due) })
	}
	running.Wait()
}

// Counts may be called while the load runs.
func (l *Load) Counts() Counts {
	return Counts{l.acknowledged.Load(), l.refused.Load(), l.failed.Load()}
}

// Samples are the acknowledged requests, once Run has returned.
func (l *Load) Samples() []Sample { return l.samples }

// FirstFailure says why the first failed request did, once Run has returned.
func (l *Load) FirstFailure() error { return l.firstFailure }

// drive sends on one connection. due says when the next request is to be sent;
// nil means at once.
func (l *Load) drive(ctx context.Context, number int, due <-chan time.Time) {
	c := &connection{address: l.address, patience: l.shape.Patience}
	defer c.close()
	var samples []Sample
	for i := number; ctx.Err() == nil; i += l.shape.Connections {
		began, ok := next(due)
		if !ok {
			break
		}
		r, err := c.exchange(l.requests[i%len(l.requests)])
		switch {
		case err == nil && r.status/100 == 2:
			l.acknowledged.Add(1)
			samples = append(samples, Sample{began, time.Since(began)})
		case err == nil && (r.status == http.StatusTooManyRequests || r.status == http.StatusServiceUnavailable):
			l.refused.Add(1)
			pause(ctx, refusalPause)
		default:
			l.fail(r.status, err)
			pause(ctx, refusalPause)
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.samples = append(l.samples, samples...)
}

func next(due <-chan time.Time) (began time.Time, ok bool) {
	if due == nil {
		return time.Now(), true
	}
	began, ok = <-due
	return began, ok
}

func (l *Load) fail(status int, err error) {
	l.failed.Add(1)
	if err == nil {
		err = fmt.Errorf("status %d", status)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.firstFailure == nil {
		l.firstFailure = err
	}
}

// schedule hands out the times at which requests are due, each when it comes,
// until ctx ends.
func schedule(ctx context.Context, due chan<- time.Time, interval time.Duration) {
	defer close(due)
	for at := time.Now(); ctx.Err() == nil; at = at.Add(interval) {
		sleepUntil(at)
		select {
		case due <- at:
		case <-ctx.Done():
		}
	}
}

// sleepUntil wakes up within some 0.1 ms. An idle Go program's own timers are
// polled for by the millisecond, which would be most of what is measured.
func sleepUntil(at time.Time) {
	if left := time.Until(at); left > 0 {
		interval := syscall.NsecToTimespec(left.Nanoseconds())
		_ = syscall.Nanosleep(&interval, nil) // interrupted: a little early
	}
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}
