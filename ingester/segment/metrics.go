package segment

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	records         prometheus.Counter
	bytes           prometheus.Counter
	gapOffsets      prometheus.Counter
	racesLost       prometheus.Counter
	missing         prometheus.Counter
	removedSegments prometheus.Counter
	removedBytes    prometheus.Counter
	failures        *prometheus.CounterVec // by kind
}

func newMetrics(reg prometheus.Registerer) metrics {
	counter := func(name, help string) prometheus.Counter {
		c := prometheus.NewCounter(prometheus.CounterOpts{Namespace: "logpipeline", Subsystem: "segment", Name: name, Help: help})
		reg.MustRegister(c)
		return c
	}
	failures := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "logpipeline_segment_storage_failures_total", Help: "Appends, seals and openings of chains that the store has failed, by kind of trouble.",
	}, []string{"kind"})
	for _, kind := range troubleKinds {
		failures.WithLabelValues(kind)
	}
	reg.MustRegister(failures)
	return metrics{
		failures:        failures,
		records:         counter("stored_records_total", "Records in segments that this process sealed."),
		bytes:           counter("stored_bytes_total", "Bytes in segments that this process sealed."),
		gapOffsets:      counter("gap_offsets_total", "Offsets that this process recorded as gaps: their records are not stored."),
		racesLost:       counter("seal_races_lost_total", "Segments that this process gave up because another writer had sealed at their offset."),
		missing:         counter("missing_data_total", "Sealed segments whose data was in no place when their chain was opened."),
		removedSegments: counter("retention_removed_segments_total", "Segments whose data this process removed because of their age or of the partition's size."),
		removedBytes:    counter("retention_removed_bytes_total", "Bytes, as stored, of that data."),
	}
}

var (
	troubledDesc = prometheus.NewDesc("logpipeline_segment_storage_trouble_partitions",
		"Partitions of this process whose data the store does not take, by the kind of the last error.", []string{"kind"}, nil)
	troubleDesc = prometheus.NewDesc("logpipeline_segment_storage_trouble_seconds",
		"How long the store has not taken data of the partition that waits longest; 0 when it takes all.", nil, nil)
)

// Describe is that of a prometheus.Collector.
func (t *troubles) Describe(to chan<- *prometheus.Desc) { to <- troubledDesc; to <- troubleDesc }

// Collect is that of a prometheus.Collector.
func (t *troubles) Collect(to chan<- prometheus.Metric) {
	now, longest, partitions := time.Now(), time.Duration(0), map[string]float64{}
	for _, trouble := range t.current(now) {
		partitions[trouble.kind]++
		longest = max(longest, now.Sub(trouble.since))
	}
	for _, kind := range troubleKinds {
		to <- prometheus.MustNewConstMetric(troubledDesc, prometheus.GaugeValue, partitions[kind], kind)
	}
	to <- prometheus.MustNewConstMetric(troubleDesc, prometheus.GaugeValue, longest.Seconds())
}
