package journal

import (
	"context"
	"log/slog"
	"time"
)

const (
	firstPause  = 100 * time.Millisecond
	longestStep = 10 * time.Second
	// reportInterval bounds how often one lasting trouble is logged.
	reportInterval = 30 * time.Second
)

// trouble is a run of failures: it paces the attempts, and tells of the run's
// begin, of its going on, and of its end.
type trouble struct {
	logger   *slog.Logger
	attempts int
	reported time.Time
}

// waitAfter reports a failure and waits until the next attempt, twice as long
// as before up to longestStep, or until ctx ends.
func (t *trouble) waitAfter(ctx context.Context, what string, err error) {
	if ctx.Err() != nil {
		return
	}
	t.attempts++
	if now := time.Now(); t.attempts == 1 || now.Sub(t.reported) >= reportInterval {
		t.reported = now
		t.logger.Warn(what+"; trying again", "attempt", t.attempts, "error", err)
	}
	timer := time.NewTimer(min(firstPause<<min(t.attempts-1, 20), longestStep))
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// over ends the trouble, if there was any.
func (t *trouble) over() {
	if t.attempts > 0 {
		t.logger.Info("trouble is over", "attempts", t.attempts)
	}
	t.attempts = 0
}
