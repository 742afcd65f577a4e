package load

import (
	"math"
	"slices"
	"time"
)

// Latency is how long the acknowledged requests of a time window took.
type Latency struct {
	Requests       int
	P50, P99, P999 time.Duration
	Longest        time.Duration
}

// LatencyOf looks at the samples that began in [from, to).
func LatencyOf(samples []Sample, from, to time.Time) Latency {
	var took []time.Duration
	for _, s := range samples {
		if !s.Began.Before(from) && s.Began.Before(to) {
			took = append(took, s.Took)
		}
	}
	if len(took) == 0 {
		return Latency{}
	}
	slices.Sort(took)
	return Latency{
		Requests: len(took),
		P50:      quantile(took, 0.5),
		P99:      quantile(took, 0.99),
		P999:     quantile(took, 0.999),
		Longest:  took[len(took)-1],
	}
}

// quantile is the smallest value that at least the share q of sorted is not
// above (nearest rank).
func quantile(sorted []time.Duration, q float64) time.Duration {
	rank := int(math.Ceil(q*float64(len(sorted)))) - 1
	return sorted[min(max(rank, 0), len(sorted)-1)]
}
