package spool

import (
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/logpipeline/logpipeline/ingester/record"
)

type metrics struct {
	records  prometheus.Counter
	bytes    prometheus.Counter
	refused  *prometheus.CounterVec
	corrupt  prometheus.Counter
	replayed prometheus.Counter
	readBack prometheus.Counter
	fsync    prometheus.Histogram
}

func named(name, help string) prometheus.Opts {
	return prometheus.Opts{Namespace: "logpipeline", Subsystem: "spool", Name: name, Help: help}
}

func newMetrics() *metrics {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts(named(name, help)))
	}
	return &metrics{
		records:  counter("appended_records_total", "Records that have become durable in the spool."),
		bytes:    counter("appended_bytes_total", "Bytes of the records that have become durable in the spool."),
		refused:  prometheus.NewCounterVec(prometheus.CounterOpts(named("refused_batches_total", "Batches that were refused: the spool's bound was reached (spool-full), the disk had no room (disk-full), or writing failed (disk-error).")), []string{"reason"}),
		corrupt:  counter("corrupt_entries_total", "Entries of the spool that could not be read, as far as they can be counted; a copy of what is left of them is kept."),
		replayed: counter("replayed_batches_total", "Batches that earlier runs had left in the spool when it was opened."),
		readBack: counter("read_back_batches_total", "Batches that were read from the disk to be fed to the queue."),
		fsync: prometheus.NewHistogram(prometheus.HistogramOpts{
			Namespace: "logpipeline", Subsystem: "spool", Name: "fsync_duration_seconds",
			Help:    "Time that one write and fdatasync took, for all that waited for it.",
			Buckets: prometheus.ExponentialBuckets(0.0001, 2, 16),
		}),
	}
}

// register registers everything with reg; the gauges read the spool.
func (m *metrics) register(s *Spool, reg prometheus.Registerer) {
	gauge := func(name, help string, read func() float64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts(named(name, help)), func() float64 {
			s.mu.Lock()
			defer s.mu.Unlock()
			return read()
		})
	}
	reg.MustRegister(m.records, m.bytes, m.refused, m.corrupt, m.replayed, m.readBack, m.fsync,
		gauge("bytes", "Bytes that the spool takes on the disk: segments, and what was set aside.", func() float64 { return float64(s.stored) }),
		gauge("capacity_bytes", "Bytes that the spool may take on the disk.", func() float64 { return float64(s.options.MaxBytes) }),
		gauge("pending_batches", "Batches in the spool that are neither in Kafka nor dead-lettered.", func() float64 { return float64(s.undoneLocked()) }),
		gauge("oldest_age_seconds", "Age of the oldest pending batch; 0 without any.", func() float64 {
			if oldest := s.oldestLocked(); !oldest.IsZero() {
				return time.Since(oldest).Seconds()
			}
			return 0
		}),
	)
}

func (m *metrics) appended(records int, bytes int64) {
	m.records.Add(float64(records))
	m.bytes.Add(float64(bytes))
}

func (m *metrics) refusedFor(err error) {
	reason := "disk-error"
	if errors.Is(err, record.ErrSpoolFull) {
		reason = "disk-full"
	}
	m.refused.WithLabelValues(reason).Inc()
}
