package controllers

import (
	"cmp"
	"math"
	"slices"
	"time"

	"golang.org/x/time/rate"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/logpipeline/logpipeline/api/v1alpha1"
	"github.com/logpipeline/logpipeline/controllers/scaling"
)

// sighting is what is to be shown of a pipeline.
type sighting struct {
	pipeline *v1alpha1.LogPipeline
	observed *v1alpha1.ObservedStatus
	worth    worth
}

// withinBudget returns the sightings that may be written now: the largest
// changes first, and of these what was shown longest ago.
func withinBudget(due []sighting, budget *rate.Limiter, now time.Time) []sighting {
	slices.SortFunc(due, func(a, b sighting) int {
		return cmp.Or(cmp.Compare(b.worth, a.worth), shownAt(a.pipeline.Status.Observed).Compare(shownAt(b.pipeline.Status.Observed)))
	})
	for i := range due {
		if !budget.AllowN(now, 1) {
			return due[:i]
		}
	}
	return due
}

func shownAt(shown *v1alpha1.ObservedStatus) time.Time {
	if shown == nil {
		return time.Time{}
	}
	return shown.At.Time
}

// worth is how much a write would tell.
type worth int

const (
	nothing worth = iota
	slight
	large
)

// How long what is shown stays at the least.
const (
	slightEvery = time.Minute
	largeEvery  = 20 * time.Second
)

// worthOf tells what a write would be worth now. It is pure.
func worthOf(shown, observed *v1alpha1.ObservedStatus, now time.Time) worth {
	if shown == nil || observed == nil {
		if shown == observed {
			return nothing
		}
		return large
	}
	worth, age := difference(shown, observed), now.Sub(shown.At.Time)
	switch {
	case unknownNow(shown, observed) && age <= scaling.StaleAfter:
		return nothing // it may come back
	case worth == large && age < largeEvery || worth == slight && age < slightEvery:
		return nothing
	default:
		return worth
	}
}

func unknownNow(shown, observed *v1alpha1.ObservedStatus) bool {
	return shown.LagRecords != nil && observed.LagRecords == nil
}

// A difference is large when people would act on it: by more than half, and
// more than comes and goes with every segment.
const (
	muchLag   = 10_000 // records
	longDelay = 30     // seconds
)

func difference(shown, observed *v1alpha1.ObservedStatus) worth {
	if farApart(shown.LagRecords, observed.LagRecords, muchLag) || farApart(shown.DelaySeconds, observed.DelaySeconds, longDelay) {
		return large
	}
	same := ptr.Equal(shown.LagRecords, observed.LagRecords) &&
		ptr.Equal(shown.DelaySeconds, observed.DelaySeconds) &&
		ptr.Equal(shown.ArrivalRecordsPerSecond, observed.ArrivalRecordsPerSecond) &&
		ptr.Equal(shown.DrainRecordsPerSecond, observed.DrainRecordsPerSecond) &&
		ptr.Equal(shown.DrainedInSeconds, observed.DrainedInSeconds)
	if same {
		return nothing
	}
	return slight
}

func farApart(a, b *int64, atLeast int64) bool {
	if a == nil || b == nil {
		return a != b
	}
	apart := max(*a, *b) - min(*a, *b)
	return apart >= atLeast && apart > max(*a, *b)/2
}

// longestDrain is from when on a lag counts as one that does not go.
const longestDrain = 7 * 24 * time.Hour

// observedOf rounds what is known.
func observedOf(s scaling.Sample, now time.Time) *v1alpha1.ObservedStatus {
	observed := &v1alpha1.ObservedStatus{At: metav1.NewTime(now.Truncate(time.Second))}
	if s.DelaySeconds.Known(now) == nil {
		observed.DelaySeconds = rounded(s.DelaySeconds.Value)
	}
	if s.LagRecords.Known(now) != nil {
		return observed
	}
	observed.LagRecords = rounded(s.LagRecords.Value)
	observed.ArrivalRecordsPerSecond = rounded(s.Arrival)
	observed.DrainRecordsPerSecond = rounded(s.Drain)
	if left, known := s.TimeLeft(int64(s.LagRecords.Value)); known && left <= longestDrain {
		observed.DrainedInSeconds = rounded(left.Seconds())
	}
	return observed
}

// rounded keeps two digits.
func rounded(value float64) *int64 {
	unit := 1.0
	for math.Abs(value) >= 100*unit {
		unit *= 10
	}
	return ptr.To(int64(math.Round(value/unit) * unit))
}
