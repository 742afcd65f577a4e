package consumer

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/logpipeline/logpipeline/ingester/config"
)

// idleChain counts the looks at retention; it has nothing else of a chain.
type idleChain struct {
	Chain
	at []time.Duration // since the first
	t0 time.Time
}

func (r *idleChain) Retain(_ context.Context, now time.Time, _ config.Retention) error {
	r.at = append(r.at, now.Sub(r.t0))
	return errors.New("the storage is away")
}

// A partition to which nothing comes looks at its retention every 4 to 5
// minutes, not all at once, and not because others have sealed.
func TestIdlePartitionsAreRetained(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		chain := &idleChain{t0: time.Now()}
		w := newWorker(t.Context(), &Consumer{logger: slog.New(slog.DiscardHandler), metrics: newMetrics(prometheus.NewRegistry())}, 0, nil)
		w.chain = chain
		for range 2 * 3600 {
			w.retainIfDue(t.Context())
			time.Sleep(time.Second)
		}
		if n := len(chain.at); n < 23 || n > 32 {
			t.Fatalf("%d looks in 2 hours, want one each 4 to 5 minutes", n)
		}
		for i, at := range chain.at {
			if i > 0 && (at-chain.at[i-1] < 4*time.Minute-time.Minute/4 || at-chain.at[i-1] > 5*time.Minute+time.Second) {
				t.Errorf("look %d comes %v after the one before", i, at-chain.at[i-1])
			}
		}
	})
}
