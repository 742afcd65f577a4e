package producer

import (
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/logpipeline/logpipeline/ingester/kafka"
	"github.com/logpipeline/logpipeline/ingester/record"
)

type metrics struct {
	records   prometheus.Counter
	bytes     prometheus.Counter
	batches   prometheus.Counter
	retries   *prometheus.CounterVec
	refused   *prometheus.CounterVec
	unknown   prometheus.Counter
	duration  prometheus.Histogram
	reachable prometheus.Gauge
}

func newMetrics(reg prometheus.Registerer) *metrics {
	f := promauto.With(reg)
	counter := func(name, help string) prometheus.CounterOpts {
		return prometheus.CounterOpts{Namespace: "logpipeline", Subsystem: "producer", Name: name, Help: help}
	}
	return &metrics{
		records: f.NewCounter(counter("acknowledged_records_total", "Records that all in-sync replicas have acknowledged.")),
		bytes:   f.NewCounter(counter("acknowledged_bytes_total", "Bytes of the record batches that all in-sync replicas have acknowledged.")),
		batches: f.NewCounter(counter("acknowledged_batches_total", "Record batches that all in-sync replicas have acknowledged.")),
		retries: f.NewCounterVec(counter("retries_total", "Attempts to send a record batch that were followed by another, by why they failed."), []string{"reason"}),
		refused: f.NewCounterVec(counter("refused_records_total", "Records that are definitely not in Kafka and were given up, by why."), []string{"reason"}),
		unknown: f.NewCounter(counter("unknown_records_total", "Records that were given up in doubt: they may or may not be in Kafka.")),
		duration: f.NewHistogram(prometheus.HistogramOpts{
			Namespace: "logpipeline", Subsystem: "producer", Name: "produce_duration_seconds",
			Help:    "Time from sending a record batch to its answer, one attempt.",
			Buckets: prometheus.ExponentialBuckets(0.0005, 2, 16),
		}),
		reachable: f.NewGauge(prometheus.GaugeOpts{
			Namespace: "logpipeline", Subsystem: "producer", Name: "kafka_reachable",
			Help: "1 when a broker answered the last request, 0 when none did.",
		}),
	}
}

func (m *metrics) observeReachable(err error) {
	if errors.Is(err, kafka.ErrUnreachable) {
		m.reachable.Set(0)
	} else {
		m.reachable.Set(1)
	}
}

func (m *metrics) observeAttempt(began time.Time, err error) {
	m.observeReachable(err)
	if err == nil {
		m.duration.Observe(time.Since(began).Seconds())
	}
}

func (m *metrics) acknowledged(records, bytes int) {
	m.records.Add(float64(records))
	m.bytes.Add(float64(bytes))
	m.batches.Inc()
}

func (m *metrics) failed(records int, err error) {
	if errors.Is(err, record.ErrOutcomeUnknown) {
		m.unknown.Add(float64(records))
		return
	}
	m.refused.WithLabelValues(kafka.Reason(err)).Add(float64(records))
}
