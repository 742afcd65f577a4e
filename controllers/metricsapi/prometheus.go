package metricsapi

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/logpipeline/logpipeline/controllers/scaling"
)

// gauge is one metric of /metrics.
type gauge struct {
	*prometheus.Desc
	// read returns false for what isn't known.
	read func(s scaling.Sample, now time.Time) (float64, bool)
}

// gauges shows Prometheus what autoscalers are told, and what it is told from.
// What isn't known is left out.
type gauges struct {
	store *scaling.Store
	now   func() time.Time
	all   []gauge
}

// NewGauges returns the metrics of all pipelines, to be registered.
func NewGauges(store *scaling.Store) prometheus.Collector {
	known := func(pick func(scaling.Sample) scaling.Value) func(scaling.Sample, time.Time) (float64, bool) {
		return func(s scaling.Sample, now time.Time) (float64, bool) {
			v := pick(s)
			return v.Value, v.Known(now) == nil
		}
	}
	rate := func(pick func(scaling.Rates) float64) func(scaling.Sample, time.Time) (float64, bool) {
		return func(s scaling.Sample, now time.Time) (float64, bool) {
			return pick(s.Rates), s.LagRecords.Known(now) == nil
		}
	}
	return &gauges{store: store, now: time.Now, all: []gauge{
		describe(scaling.QueueBytesMetric, "Bytes in the queues of all ingesters of a pipeline, as its autoscaler is told.", known(served[0].pick)),
		describe(scaling.LagRecordsMetric, "Records of a pipeline that are not stored yet, as its autoscaler is told.", known(served[1].pick)),
		describe(scaling.WantedReplicasMetric, "Consumers that a pipeline takes to keep to its target delay, as its autoscaler is told.", known(served[2].pick)),
		describe("logpipeline_consumer_delay_seconds", "Age of the oldest record of a pipeline that is not stored yet.", known(func(s scaling.Sample) scaling.Value { return s.DelaySeconds })),
		describe("logpipeline_consumer_arrival_records_per_second", "Records that arrive in a pipeline's topic.", rate(func(r scaling.Rates) float64 { return r.Arrival })),
		describe("logpipeline_consumer_drain_records_per_second", "Records of a pipeline that get stored.", rate(func(r scaling.Rates) float64 { return r.Drain })),
		describe("logpipeline_consumer_time_left_seconds", "Time until a pipeline's lag is gone; left out while it does not go.", timeLeft),
	}}
}

func describe(name, help string, read func(scaling.Sample, time.Time) (float64, bool)) gauge {
	return gauge{prometheus.NewDesc(name, help, []string{"namespace", "pipeline"}, nil), read}
}

func timeLeft(s scaling.Sample, now time.Time) (float64, bool) {
	if s.LagRecords.Known(now) != nil {
		return 0, false
	}
	left, known := s.TimeLeft(int64(s.LagRecords.Value))
	return left.Seconds(), known
}

// Describe implements prometheus.Collector.
func (g *gauges) Describe(out chan<- *prometheus.Desc) {
	for _, one := range g.all {
		out <- one.Desc
	}
}

// Collect implements prometheus.Collector.
func (g *gauges) Collect(out chan<- prometheus.Metric) {
	now := g.now()
	for _, p := range g.store.Pipelines("") {
		sample, found := g.store.Sample(p)
		if !found {
			continue
		}
		for _, one := range g.all {
			if value, known := one.read(sample, now); known {
				out <- prometheus.MustNewConstMetric(one.Desc, prometheus.GaugeValue, value, p.Namespace, p.Name)
			}
		}
	}
}
