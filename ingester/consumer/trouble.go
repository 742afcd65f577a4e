package consumer

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

const (
	firstPause  = 100 * time.Millisecond
	longestStep = 10 * time.Second
	// reportInterval bounds how often one lasting trouble is logged.
	reportInterval = 30 * time.Second
)

// trouble is a run of failures of one kind: it paces the attempts, and tells of
// the run's begin, of its going on, and of its end. The zero value with a
// logger is no trouble.
type trouble struct {
	logger   *slog.Logger
	gauge    prometheus.Gauge // how many there are; nil if nobody counts
	attempts int
	reported time.Time
}

// waitAfter reports a failure and waits until the next attempt, or until ctx
// ends: twice as long as before up to longestStep, less a random part of up to
// a half, so that many workers do not come back at once.
func (t *trouble) waitAfter(ctx context.Context, what string, err error) {
	if ctx.Err() != nil {
		return
	}
	t.report(what, err)
	timer := time.NewTimer(pause(t.attempts))
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

func pause(attempt int) time.Duration {
	longest := min(firstPause<<min(attempt-1, 20), longestStep)
	return longest - rand.N(longest/2)
}

func (t *trouble) report(what string, err error) {
	if t.attempts++; t.attempts == 1 && t.gauge != nil {
		t.gauge.Inc()
	}
	if now := time.Now(); t.attempts == 1 || now.Sub(t.reported) >= reportInterval {
		t.reported = now
		t.logger.Warn(what+"; trying again", "attempt", t.attempts, "error", err)
	}
}

// over ends the trouble, if there was any.
func (t *trouble) over() {
	if t.attempts > 0 {
		t.logger.Info("trouble is over", "attempts", t.attempts)
	}
	t.leave()
}

// leave ends it for who goes away and doesn't know.
func (t *trouble) leave() {
	if t.attempts > 0 && t.gauge != nil {
		t.gauge.Dec()
	}
	t.attempts = 0
}
