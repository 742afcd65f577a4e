package journal

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/logpipeline/logpipeline/ingester/record"
)

type metrics struct {
	all            []prometheus.Collector
	batches        prometheus.Counter
	records, bytes prometheus.Counter
	refused        *prometheus.CounterVec
	fsync          prometheus.Histogram
	sealed         *prometheus.CounterVec
	damaged, lost  prometheus.Counter
	stopped        prometheus.Gauge
}

func newMetrics(j *Journal) *metrics {
	m := &metrics{}
	counter := func(name, help string) prometheus.Counter {
		return add(m, prometheus.NewCounter(prometheus.CounterOpts{Namespace: "logpipeline", Subsystem: "journal", Name: name, Help: help}))
	}
	vector := func(name, help string) *prometheus.CounterVec {
		return add(m, prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "logpipeline", Subsystem: "journal", Name: name, Help: help}, []string{"reason"}))
	}
	gauge := func(name, help string, read func() float64) {
		add(m, prometheus.NewGaugeFunc(prometheus.GaugeOpts{Namespace: "logpipeline", Subsystem: "journal", Name: name, Help: help}, read))
	}
	m.batches = counter("appended_batches_total", "Batches that were made durable.")
	m.records = counter("appended_records_total", "Records that were made durable.")
	m.bytes = counter("appended_bytes_total", "Bytes of these records.")
	m.refused = vector("refused_batches_total", "Batches that were not taken: the journal or its disk was full, writing failed, or it failed in a way that leaves the outcome unknown.")
	m.sealed = vector("sealed_segments_total", "Segments that were sealed, by why.")
	m.damaged = counter("damaged_bytes_total", "Bytes of the journal that could not be read and were set aside.")
	m.lost = counter("lost_offsets_total", "Offsets whose records could not be read; the chain records them as gaps.")
	m.fsync = add(m, prometheus.NewHistogram(prometheus.HistogramOpts{
		Namespace: "logpipeline", Subsystem: "journal", Name: "fsync_seconds", Help: "How long it took to write and sync a group of batches.",
		Buckets: prometheus.ExponentialBuckets(0.0002, 2, 15),
	}))
	m.stopped = add(m, prometheus.NewGauge(prometheus.GaugeOpts{Namespace: "logpipeline", Subsystem: "journal", Name: "stopped", Help: "1 when nothing can be stored until somebody acts; see /readyz."}))
	gauge("stored_bytes", "Bytes of the journal on disk, and of what was set aside.", func() float64 {
		j.mu.Lock()
		defer j.mu.Unlock()
		return float64(j.stored)
	})
	gauge("capacity_bytes", "Bytes that the journal may take.", func() float64 { return float64(j.options.MaxBytes) })
	gauge("unsealed_records", "Records that are in the journal and in no sealed segment.", func() float64 { return float64(j.unsealed()) })
	return m
}

func add[C prometheus.Collector](m *metrics, c C) C {
	m.all = append(m.all, c)
	return c
}

func (m *metrics) register(reg prometheus.Registerer) { reg.MustRegister(m.all...) }

func (m *metrics) appended(records int, bytes int64) {
	m.batches.Inc()
	m.records.Add(float64(records))
	m.bytes.Add(float64(bytes))
}

func (m *metrics) refusedFor(err error, batches int) {
	reason := "failed"
	switch {
	case errors.Is(err, record.ErrOutcomeUnknown):
		reason = "unknown"
	case errors.Is(err, record.ErrSpoolFull):
		reason = "full"
	}
	m.refused.WithLabelValues(reason).Add(float64(batches))
}
