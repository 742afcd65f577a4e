package segment

import "github.com/prometheus/client_golang/prometheus"

type metrics struct {
	records         prometheus.Counter
	bytes           prometheus.Counter
	gapOffsets      prometheus.Counter
	racesLost       prometheus.Counter
	missing         prometheus.Counter
	removedSegments prometheus.Counter
	removedBytes    prometheus.Counter
}

func newMetrics(reg prometheus.Registerer) metrics {
	counter := func(name, help string) prometheus.Counter {
		c := prometheus.NewCounter(prometheus.CounterOpts{Namespace: "logpipeline", Subsystem: "segment", Name: name, Help: help})
		reg.MustRegister(c)
		return c
	}
	return metrics{
		records:         counter("stored_records_total", "Records in segments that this process sealed."),
		bytes:           counter("stored_bytes_total", "Bytes in segments that this process sealed."),
		gapOffsets:      counter("gap_offsets_total", "Offsets that this process recorded as gaps: their records are not stored."),
		racesLost:       counter("seal_races_lost_total", "Segments that this process gave up because another writer had sealed at their offset."),
		missing:         counter("missing_data_total", "Sealed segments whose data was in no place when their chain was opened."),
		removedSegments: counter("retention_removed_segments_total", "Segments whose data this process removed because of their age or of the partition's size."),
		removedBytes:    counter("retention_removed_bytes_total", "Bytes, as stored, of that data."),
	}
}
