package scaling

import (
	"math"
	"time"

	"github.com/google/uuid"

	"github.com/logpipeline/logpipeline/controllers/scaling/lag"
)

// Rates are in records a second.
type Rates struct {
	// Arrival is how many arrive in the topic, and Drain how many get done.
	Arrival, Drain float64
	// DrainPerPod is what one consumer drains while it has enough to do; 0
	// until one had.
	DrainPerPod float64
	// Busy says that records have arrived since the reading before; Arrival,
	// which is smoothed, takes minutes to come down to nothing.
	Busy bool
}

// TimeLeft is how long the lag takes to go at these rates; it isn't known when
// it doesn't go.
func (r Rates) TimeLeft(records int64) (time.Duration, bool) {
	if records <= 0 {
		return 0, true
	}
	seconds := float64(records) / (r.Drain - r.Arrival)
	if r.Drain <= r.Arrival || seconds > math.MaxInt64/float64(time.Second) {
		return 0, false
	}
	return time.Duration(seconds * float64(time.Second)), true
}

// Smoothing: how long a rate takes to follow a change by 63 percent.
const (
	arrivalFollows = 60 * time.Second // while it changes by less than half at a time
	surgeFollows   = 10 * time.Second // otherwise
	drainFollows   = 30 * time.Second // segments are sealed in steps
	perPodFollows  = 60 * time.Second
	// busyShare of a time is what a consumer must have been busy in it, for
	// what it has done to tell what it can do; firstShare where nothing better
	// is known.
	busyShare  = 0.95
	firstShare = 0.5
)

// RateMeter tells rates from successive samples. The zero value is ready.
type RateMeter struct {
	rates   Rates
	topic   uuid.UUID
	at      time.Time
	ends    int64
	done    int64
	workers map[string]Worker
}

// Worker is what a consumer has done until a time.
type Worker struct {
	Name string
	// Started tells one process from the next of the same name.
	Started, At time.Time
	// Appended records, and the seconds in which there was more to append.
	Appended    int64
	BusySeconds float64
}

// Observe takes another reading and returns the rates with it.
func (m *RateMeter) Observe(r lag.Reading) Rates {
	ends := r.Ends()
	done := ends - r.Records()
	elapsed := r.At.Sub(m.at)
	switch {
	case m.at.IsZero() || r.TopicID != m.topic || ends < m.ends:
		m.rates.Arrival, m.rates.Drain = 0, 0
	case elapsed <= 0:
		return m.rates
	default:
		m.followArrival(float64(ends-m.ends), elapsed)
		follow(&m.rates.Drain, float64(max(0, done-m.done)), elapsed, drainFollows)
	}
	m.rates.Busy = !m.at.IsZero() && ends > m.ends
	m.topic, m.at, m.ends, m.done = r.TopicID, r.At, ends, done
	return m.rates
}

// followArrival smooths noise, and follows at once what is more than noise.
func (m *RateMeter) followArrival(n float64, elapsed time.Duration) {
	constant := arrivalFollows
	if math.Abs(n/elapsed.Seconds()-m.rates.Arrival) > m.rates.Arrival/2 {
		constant = surgeFollows
	}
	follow(&m.rates.Arrival, n, elapsed, constant)
}

// follow moves a rate towards what n in the time elapsed is.
func follow(rate *float64, n float64, elapsed, constant time.Duration) {
	weight := 1 - math.Exp(-elapsed.Seconds()/constant.Seconds())
	*rate += weight * (n/elapsed.Seconds() - *rate)
}

// ObserveWorkers learns from consumers that were busy since the last time what
// one drains. Whatever a process counts begins anew with it.
func (m *RateMeter) ObserveWorkers(workers []Worker) {
	now := make(map[string]Worker, len(workers))
	share := busyShare
	if m.rates.DrainPerPod == 0 {
		share = firstShare
	}
	var appended, seconds float64
	for _, w := range workers {
		now[w.Name] = w
		before, known := m.workers[w.Name]
		elapsed, busy := w.At.Sub(before.At).Seconds(), w.BusySeconds-before.BusySeconds
		if known && before.Started.Equal(w.Started) && elapsed > 0 && busy >= share*elapsed {
			appended += float64(w.Appended - before.Appended)
			seconds += elapsed
		}
	}
	m.workers = now
	m.learn(appended, seconds)
}

// learn takes what busy pods have drained in the sum of their seconds.
func (m *RateMeter) learn(appended, seconds float64) {
	if seconds <= 0 || appended <= 0 {
		return
	}
	if m.rates.DrainPerPod == 0 {
		m.rates.DrainPerPod = appended / seconds
		return
	}
	follow(&m.rates.DrainPerPod, appended, time.Duration(seconds*float64(time.Second)), perPodFollows)
}
