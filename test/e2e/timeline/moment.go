// Package timeline watches workloads being scaled: how many pods there are, what
// load they have, what the HorizontalPodAutoscaler is told and what it decides.
// What it saw is kept as CSV and drawn as SVG.
package timeline

import (
	"math"
	"slices"
	"time"
)

// Moment is what was seen of a workload at a time. Numbers that were not known
// are NaN.
type Moment struct {
	// At is since the watch began.
	At time.Duration
	// Replicas are asked for, Ready are there.
	Replicas, Ready int
	// Desired is what the autoscaler wants; Reason are its conditions.
	Desired int
	Reason  string
	// Told is the load of one pod, as the autoscaler was told it last, and Of
	// by how many pods it divided then: without any, Told is not known.
	Told float64
	Of   int
	// Served is the same load, of all pods, as the metrics API tells it now;
	// ServedErr is why it doesn't.
	Served    float64
	ServedErr error
	// Pages are the numbers of each operator, by the names of its metrics: each
	// reads the load by itself.
	Pages []map[string]float64
}

// Names of the numbers of Moment.Page.
const (
	LagRecords     = "logpipeline_consumer_lag_records"
	DelaySeconds   = "logpipeline_consumer_delay_seconds"
	WantedReplicas = "logpipeline_consumer_wanted_replicas"
	QueueBytes     = "logpipeline_ingester_queue_bytes"
	Arrival        = "logpipeline_consumer_arrival_records_per_second"
	Drain          = "logpipeline_consumer_drain_records_per_second"
	TimeLeft       = "logpipeline_consumer_time_left_seconds"
)

var pageNames = []string{LagRecords, DelaySeconds, WantedReplicas, QueueBytes, Arrival, Drain, TimeLeft}

// On is a number of the first operator's page that has it.
func (m Moment) On(name string) float64 {
	for _, page := range m.Pages {
		if value, known := page[name]; known {
			return value
		}
	}
	return math.NaN()
}

// OnSome tells whether some operator's page has a number, give or take what
// rounding does.
func (m Moment) OnSome(name string, value, rounding float64) bool {
	return slices.ContainsFunc(m.Pages, func(page map[string]float64) bool {
		shown, known := page[name]
		return known && math.Abs(shown-value) <= rounding
	})
}
