package consumer

import "github.com/prometheus/client_golang/prometheus"

const namespace, subsystem = "logpipeline", "consumer"

type metrics struct {
	sealed      *prometheus.CounterVec
	seal        prometheus.Histogram
	stops       *prometheus.CounterVec
	stopped     *prometheus.GaugeVec
	active      prometheus.Gauge
	troubled    *prometheus.GaugeVec
	commits     *prometheus.CounterVec
	gaps        *prometheus.CounterVec
	gapOffsets  *prometheus.CounterVec
	deadLetters *prometheus.CounterVec
	unreplaced  prometheus.Counter
}

// newMetrics: what has been stored, in records and bytes, is the storage's to
// count; what stands is told by the standings.
func newMetrics(reg prometheus.Registerer) *metrics {
	counters := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: namespace, Subsystem: subsystem, Name: name, Help: help}, labels)
	}
	gauge := func(name, help string) prometheus.GaugeOpts {
		return prometheus.GaugeOpts{Namespace: namespace, Subsystem: subsystem, Name: name, Help: help}
	}
	m := &metrics{
		sealed: counters("sealed_segments_total", "Segments sealed, by reason: size, age, hour, space, rebalance, shutdown, stop or gap.", "reason"),
		seal: prometheus.NewHistogram(prometheus.HistogramOpts{Namespace: namespace, Subsystem: subsystem, Name: "seal_duration_seconds",
			Help: "Time from the decision to seal until the segment is published.", Buckets: prometheus.ExponentialBuckets(0.001, 2, 15)}),
		stops:       counters("partition_stops_total", "Times that a partition stopped, by reason.", "reason"),
		stopped:     prometheus.NewGaugeVec(gauge("stopped_partitions", "Assigned partitions that stand still until somebody decides, by reason."), []string{"reason"}),
		active:      prometheus.NewGauge(gauge("active_partitions", "Assigned partitions that are being stored.")),
		troubled:    prometheus.NewGaugeVec(gauge("troubled_partitions", "Assigned partitions that fail at the moment and are tried again, by what fails: kafka or storage."), []string{"what"}),
		commits:     counters("commits_total", "Offsets committed to the group, by outcome.", "outcome"),
		gaps:        counters("gaps_total", "Gaps recorded in chains, by reason.", "reason"),
		gapOffsets:  counters("gap_offsets_total", "Offsets of the gaps recorded in chains, by reason.", "reason"),
		deadLetters: counters("dead_letters_total", "Batches and records written to the dead-letter topic because they cannot be stored, by reason.", "reason"),
		unreplaced: prometheus.NewCounter(prometheus.CounterOpts{Namespace: namespace, Subsystem: subsystem, Name: "truncated_offsets_total",
			Help: "Offsets whose records the brokers lost after they had been stored, so that the records that took their place are not stored."}),
	}
	reg.MustRegister(m.sealed, m.seal, m.stops, m.stopped, m.active, m.troubled, m.commits, m.gaps, m.gapOffsets, m.deadLetters, m.unreplaced)
	return m
}
