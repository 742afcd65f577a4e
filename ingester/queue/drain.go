package queue

import (
	"math"
	"time"
)

const (
	// memory is how far back the measured drain rate reaches.
	memory = 10 * time.Second
	// The bounds of RetryAfter.
	soonest = time.Second
	latest  = time.Minute
	// slack is the part of the queue, one in so many, that should be free
	// when a refused client comes back: one that finds room for itself alone
	// finds it taken by another.
	slack = 16
	// known is how many seconds must have been measured before the rate says
	// anything.
	known = 0.5
)

// RetryAfter is when a client whose n bytes were refused should come back:
// after the time in which, at the rate of the last seconds, they and a
// sixteenth of the queue have become free; at least 1 s, also while too little
// has been seen to tell, and at most 60 s, also where nothing drains.
func (q *Queue) RetryAfter(n int64) time.Duration {
	q.mu.Lock()
	defer q.mu.Unlock()
	missing := max(n, q.maxBytes/slack) - q.freeLocked()
	if missing <= 0 {
		return soonest
	}
	rate := q.drained.rate(q.put > 0)
	if q.drained.seconds < known {
		return soonest
	}
	if rate*latest.Seconds() <= float64(missing) {
		return latest
	}
	return max(soonest, time.Duration(float64(missing)/rate*float64(time.Second)))
}

// drainRate measures the bytes that are released in a second, as an average
// whose weights fall exponentially with age. Time in which there is nothing to
// release doesn't count, or a queue that fills after a quiet hour would seem
// to be stuck.
type drainRate struct {
	weighted float64   // bytes, each with its weight as of then
	seconds  float64   // seconds, weighted likewise
	then     time.Time // until when both are counted
}

// start goes on measuring after a time with nothing to release.
func (d *drainRate) start() { d.then = time.Now() }

// add counts n bytes that are released now.
func (d *drainRate) add(n int64) {
	d.forget()
	d.weighted += float64(n)
}

// rate is in bytes per second; 0 when it is not known. busy says that there is
// something to release at present.
func (d *drainRate) rate(busy bool) float64 {
	if busy {
		d.forget()
	}
	if d.seconds == 0 {
		return 0
	}
	return d.weighted / d.seconds
}

// forget lets what was counted age until now.
func (d *drainRate) forget() {
	now := time.Now()
	passed := now.Sub(d.then).Seconds()
	d.then = now
	weight := math.Exp(-passed / memory.Seconds())
	d.weighted *= weight
	d.seconds = d.seconds*weight + memory.Seconds()*(1-weight)
}
