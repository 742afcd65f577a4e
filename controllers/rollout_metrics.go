package controllers

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// rolloutGauges tell how far the pipelines are with the operator's release, as
// the Deployments say when somebody asks. Every replica of the operator can.
type rolloutGauges struct {
	reconciler *Reconciler
	pipelines  *prometheus.Desc
	paused     *prometheus.Desc
}

// NewRolloutGauges returns gauges that read what r's cache holds.
func NewRolloutGauges(r *Reconciler) prometheus.Collector {
	return &rolloutGauges{
		reconciler: r,
		pipelines: prometheus.NewDesc("logpipeline_operator_rollout_pipelines",
			"Pipelines that are not yet well on the operator's release: whose pods are being replaced, of these the ones that make no progress, and those whose turn has not come.",
			[]string{"state"}, nil),
		paused: prometheus.NewDesc("logpipeline_operator_rollouts_paused",
			"1 while no further pipeline is brought to the operator's release, because two that were have failed.", nil, nil),
	}
}

// Describe implements prometheus.Collector.
func (g *rolloutGauges) Describe(into chan<- *prometheus.Desc) {
	into <- g.pipelines
	into <- g.paused
}

// Collect implements prometheus.Collector.
func (g *rolloutGauges) Collect(into chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second) // a collector is given none
	defer cancel()
	seen, err := g.reconciler.observeRollouts(ctx)
	if err != nil { // the cache isn't filled yet
		into <- prometheus.NewInvalidMetric(g.pipelines, err)
		return
	}
	count := func(state string, n int) {
		into <- prometheus.MustNewConstMetric(g.pipelines, prometheus.GaugeValue, float64(n), state)
	}
	count("rolling", len(seen.rolling))
	count("failed", len(seen.failed))
	count("waiting", len(seen.waiting))
	paused := 0.0
	if seen.paused() {
		paused = 1
	}
	into <- prometheus.MustNewConstMetric(g.paused, prometheus.GaugeValue, paused)
}
