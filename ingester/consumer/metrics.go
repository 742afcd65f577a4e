package consumer

import "github.com/prometheus/client_golang/prometheus"

type metrics struct {
	sealed  *prometheus.CounterVec
	seal    prometheus.Histogram
	lag     *prometheus.GaugeVec
	stops   *prometheus.CounterVec
	stopped *prometheus.GaugeVec
	active  prometheus.Gauge
	commits *prometheus.CounterVec
}

// newMetrics: what has been stored, in records and bytes, is the storage's to
// count.
func newMetrics(reg prometheus.Registerer) *metrics {
	const namespace, subsystem = "logpipeline", "consumer"
	counters := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: namespace, Subsystem: subsystem, Name: name, Help: help}, labels)
	}
	gauge := func(name, help string) prometheus.GaugeOpts {
		return prometheus.GaugeOpts{Namespace: namespace, Subsystem: subsystem, Name: name, Help: help}
	}
	m := &metrics{
		sealed: counters("sealed_segments_total", "Segments sealed, by reason: size, age, hour, rebalance, shutdown or stop.", "reason"),
		seal: prometheus.NewHistogram(prometheus.HistogramOpts{Namespace: namespace, Subsystem: subsystem, Name: "seal_duration_seconds",
			Help: "Time from the decision to seal until the segment is published.", Buckets: prometheus.ExponentialBuckets(0.001, 2, 15)}),
		lag:     prometheus.NewGaugeVec(gauge("lag_records", "Offsets between the partition's high watermark and the next one to store."), []string{"partition"}),
		stops:   counters("partition_stops_total", "Times that a partition stopped, by reason.", "reason"),
		stopped: prometheus.NewGaugeVec(gauge("stopped_partitions", "Assigned partitions that stand still until somebody decides, by reason."), []string{"reason"}),
		active:  prometheus.NewGauge(gauge("active_partitions", "Assigned partitions that are being stored.")),
		commits: counters("commits_total", "Offsets committed to the group, by outcome.", "outcome"),
	}
	reg.MustRegister(m.sealed, m.seal, m.lag, m.stops, m.stopped, m.active, m.commits)
	return m
}
