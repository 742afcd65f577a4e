package aggregate

import (
	"testing"
	"time"

	"github.com/logpipeline/logpipeline/ingester/config"
)

func must(t testing.TB, cfg config.Aggregation) *Plan {
	t.Helper()
	if err := cfg.Validate(); err != nil {
		t.Fatal(err)
	}
	plan, err := NewPlan(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return plan
}

// at is a moment in seconds since the Unix epoch.
func at(seconds int64) time.Time { return time.Unix(seconds, 0).UTC() }
