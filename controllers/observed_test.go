package controllers

import (
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/logpipeline/logpipeline/api/v1alpha1"
	"github.com/logpipeline/logpipeline/controllers/scaling"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func TestObservedIsRounded(t *testing.T) {
	value := func(v float64) scaling.Value { return scaling.Value{Value: v, At: noon} }
	tests := map[string]struct {
		sample scaling.Sample
		want   v1alpha1.ObservedStatus
	}{
		"nothing known": {scaling.Sample{}, v1alpha1.ObservedStatus{}},
		"all done": {
			scaling.Sample{LagRecords: value(0), DelaySeconds: value(0)},
			v1alpha1.ObservedStatus{LagRecords: ptr.To[int64](0), DelaySeconds: ptr.To[int64](0), ArrivalRecordsPerSecond: ptr.To[int64](0), DrainRecordsPerSecond: ptr.To[int64](0), DrainedInSeconds: ptr.To[int64](0)},
		},
		"two digits": {
			scaling.Sample{LagRecords: value(1_234_567), DelaySeconds: value(987.6), Rates: scaling.Rates{Arrival: 99.6, Drain: 5555}},
			v1alpha1.ObservedStatus{LagRecords: ptr.To[int64](1_200_000), DelaySeconds: ptr.To[int64](990), ArrivalRecordsPerSecond: ptr.To[int64](100), DrainRecordsPerSecond: ptr.To[int64](5600), DrainedInSeconds: ptr.To[int64](230)},
		},
		"a lag that grows is never gone": {
			scaling.Sample{LagRecords: value(1000), DelaySeconds: value(10), Rates: scaling.Rates{Arrival: 10, Drain: 5}},
			v1alpha1.ObservedStatus{LagRecords: ptr.To[int64](1000), DelaySeconds: ptr.To[int64](10), ArrivalRecordsPerSecond: ptr.To[int64](10), DrainRecordsPerSecond: ptr.To[int64](5)},
		},
		"nor is one that all but stands still": {
			scaling.Sample{LagRecords: value(1000), Rates: scaling.Rates{Drain: 1e-6}},
			v1alpha1.ObservedStatus{LagRecords: ptr.To[int64](1000), ArrivalRecordsPerSecond: ptr.To[int64](0), DrainRecordsPerSecond: ptr.To[int64](0)},
		},
		"what is stale is unknown": {
			scaling.Sample{LagRecords: scaling.Value{Value: 5, At: noon.Add(-time.Hour)}, DelaySeconds: value(5), Rates: scaling.Rates{Drain: 1}},
			v1alpha1.ObservedStatus{DelaySeconds: ptr.To[int64](5)},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			test.want.At = metav1.NewTime(noon)
			if diff := cmp.Diff(&test.want, observedOf(test.sample, noon.Add(300*time.Millisecond))); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
		})
	}
}

func TestRounded(t *testing.T) {
	for value, want := range map[float64]int64{0: 0, 0.4: 0, 0.6: 1, 99: 99, 99.6: 100, 100: 100, 104: 100, 105: 110, 149_999: 150_000, 9.96e9: 10_000_000_000, math.MaxInt32: 2_100_000_000} {
		if got := *rounded(value); got != want {
			t.Errorf("%v is rounded to %d, want %d", value, got, want)
		}
	}
}

func TestWorthOf(t *testing.T) {
	shown := func(age time.Duration, lag, delay int64) *v1alpha1.ObservedStatus {
		return &v1alpha1.ObservedStatus{At: metav1.NewTime(noon.Add(-age)), LagRecords: &lag, DelaySeconds: &delay}
	}
	unknown := &v1alpha1.ObservedStatus{At: metav1.NewTime(noon)}
	tests := map[string]struct {
		shown, observed *v1alpha1.ObservedStatus
		want            worth
	}{
		"never shown":                              {nil, shown(0, 0, 0), large},
		"never shown, and nobody looks":            {nil, nil, nothing},
		"shown, and nobody looks any more":         {shown(time.Second, 5, 5), nil, large},
		"idle":                                     {shown(24*time.Hour, 0, 0), shown(0, 0, 0), nothing},
		"a little more, just shown":                {shown(59*time.Second, 1000, 5), shown(0, 1100, 6), nothing},
		"a little more, shown a minute ago":        {shown(time.Minute, 1000, 5), shown(0, 1100, 6), slight},
		"much more, just shown":                    {shown(19*time.Second, 1000, 5), shown(0, 900_000, 90), nothing},
		"much more, shown 20 s ago":                {shown(20*time.Second, 1000, 5), shown(0, 900_000, 5), large},
		"much older, shown 20 s ago":               {shown(20*time.Second, 1000, 5), shown(0, 1000, 90), large},
		"gone, shown 20 s ago":                     {shown(20*time.Second, 900_000, 500), shown(0, 0, 0), large},
		"a few more by far, as with every segment": {shown(30*time.Second, 10, 0), shown(0, 5000, 10), nothing},
		"much more, but less than half":            {shown(30*time.Second, 900_000, 500), shown(0, 1_200_000, 600), nothing},
		"unknown, just shown":                      {shown(scaling.StaleAfter, 10, 1), unknown, nothing},
		"unknown for long":                         {shown(scaling.StaleAfter+time.Second, 10, 1), unknown, large},
		"known again":                              {&v1alpha1.ObservedStatus{At: metav1.NewTime(noon.Add(-20 * time.Second))}, shown(0, 10, 1), large},
		"still unknown":                            {&v1alpha1.ObservedStatus{At: metav1.NewTime(noon.Add(-time.Hour))}, unknown, nothing},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if got := worthOf(test.shown, test.observed, noon); got != test.want {
				t.Errorf("got %d, want %d", got, test.want)
			}
		})
	}
}

// However many pipelines there are, and however much changes: under a hundred
// writes in any minute, and each has its turn.
func TestBudgetOfAllPipelines(t *testing.T) {
	const pipelines = 1000
	shown := make([]*v1alpha1.ObservedStatus, pipelines)
	budget := newBudget(noon)
	var writes []time.Time
	for round := range 200 {
		now := noon.Add(time.Duration(round) * scaling.Interval)
		var due []sighting
		for i := range shown {
			observed := &v1alpha1.ObservedStatus{At: metav1.NewTime(now), LagRecords: ptr.To(int64(round%2) * 1_000_000)}
			p := &v1alpha1.LogPipeline{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprint(i)}, Status: v1alpha1.LogPipelineStatus{Observed: shown[i]}}
			if worth := worthOf(shown[i], observed, now); worth > nothing {
				due = append(due, sighting{pipeline: p, observed: observed, worth: worth})
			}
		}
		for _, s := range withinBudget(due, budget, now) {
			var i int
			if _, err := fmt.Sscan(s.pipeline.Name, &i); err != nil {
				t.Fatal(err)
			}
			shown[i] = s.observed
			writes = append(writes, now)
		}
	}
	for i, first := range writes {
		if i+99 < len(writes) && writes[i+99].Sub(first) < time.Minute {
			t.Fatalf("100 writes from %v to %v", first, writes[i+99])
		}
	}
	for i, s := range shown {
		if s == nil {
			t.Errorf("pipeline %d never had its turn in %d writes", i, len(writes))
		}
	}
}

func TestLargeChangesComeFirst(t *testing.T) {
	sightingOf := func(name string, w worth, age time.Duration) sighting {
		return sighting{worth: w, pipeline: &v1alpha1.LogPipeline{
			ObjectMeta: metav1.ObjectMeta{Name: name},
			Status:     v1alpha1.LogPipelineStatus{Observed: &v1alpha1.ObservedStatus{At: metav1.NewTime(noon.Add(-age))}},
		}}
	}
	due := []sighting{
		sightingOf("slight, old", slight, time.Hour), sightingOf("large, new", large, time.Minute),
		sightingOf("slight, older", slight, 2*time.Hour), sightingOf("large, old", large, time.Hour),
	}
	budget := newBudget(noon)
	var got []string
	for _, s := range withinBudget(due, budget, noon.Add(3*time.Second)) {
		got = append(got, s.pipeline.Name)
	}
	if diff := cmp.Diff([]string{"large, old", "large, new", "slight, older"}, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}
