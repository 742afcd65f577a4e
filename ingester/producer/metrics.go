package producer

import (
	"context"
	"errors"
	"strings"
	"unicode"

	"github.com/prometheus/client_golang/prometheus"
	kafkago "github.com/segmentio/kafka-go"

	"github.com/logpipeline/logpipeline/ingester/kafka"
	"github.com/logpipeline/logpipeline/ingester/record"
)

type metrics struct {
	records      prometheus.Counter
	bytes        prometheus.Counter
	batches      prometheus.Counter
	batchRecords prometheus.Histogram
	batchBytes   prometheus.Histogram
	inFlight     prometheus.Gauge
	retries      *prometheus.CounterVec
	refused      *prometheus.CounterVec
	unknown      prometheus.Counter
	doubts       *prometheus.CounterVec
	inDoubt      prometheus.Gauge
	deadLettered prometheus.Counter
	lost         prometheus.Counter
	duration     prometheus.Histogram
	delivery     prometheus.Histogram
	reachable    prometheus.Gauge
}

func newMetrics(reg prometheus.Registerer) *metrics {
	named := func(name, help string) prometheus.Opts {
		return prometheus.Opts{Namespace: "logpipeline", Subsystem: "producer", Name: name, Help: help}
	}
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts(named(name, help)))
	}
	counters := func(name, help, label string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts(named(name, help)), []string{label})
	}
	gauge := func(name, help string) prometheus.Gauge {
		return prometheus.NewGauge(prometheus.GaugeOpts(named(name, help)))
	}
	histogram := func(name, help string, first, factor float64, n int) prometheus.Histogram {
		return prometheus.NewHistogram(prometheus.HistogramOpts{
			Namespace: "logpipeline", Subsystem: "producer", Name: name, Help: help,
			Buckets: prometheus.ExponentialBuckets(first, factor, n),
		})
	}
	m := &metrics{
		records:      counter("acknowledged_records_total", "Records that the required replicas have acknowledged."),
		bytes:        counter("acknowledged_bytes_total", "Bytes, as sent, of the record batches that the required replicas have acknowledged."),
		batches:      counter("acknowledged_batches_total", "Record batches that the required replicas have acknowledged."),
		batchRecords: histogram("batch_records", "Records of the record batches that were acknowledged.", 1, 4, 10),
		batchBytes:   histogram("batch_bytes", "Bytes, as sent, of the record batches that were acknowledged.", 256, 4, 10),
		inFlight:     gauge("in_flight_records", "Records that are being sent or sent again."),
		retries:      counters("retries_total", "Attempts to send a record batch that were followed by another, by why they failed.", "reason"),
		refused:      counters("refused_records_total", "Records that are definitely not in Kafka and were given up, by why.", "reason"),
		unknown:      counter("unknown_records_total", "Records that were given up in doubt: they may or may not be in Kafka."),
		doubts:       counters("doubts_total", "Record batches given up in doubt, by what the log said then: found, absent or unknown.", "resolved"),
		inDoubt:      gauge("in_doubt_batches", "Record batches in doubt that wait for the log to be searched, or for one that fences them."),
		deadLettered: counter("dead_lettered_records_total", "Records that were given up and kept as dead letters."),
		lost:         counter("lost_records_total", "Records that were given up and could not be dead-lettered."),
		duration:     histogram("produce_duration_seconds", "Time from sending a record batch to its answer, one attempt.", 0.0005, 2, 16),
		delivery:     histogram("delivery_duration_seconds", "Time from the receipt of a request's records to the acknowledgement of all of them.", 0.001, 2, 18),
		reachable:    gauge("kafka_reachable", "1 when a broker answered the last request, 0 when none did."),
	}
	reg.MustRegister(m.records, m.bytes, m.batches, m.batchRecords, m.batchBytes, m.inFlight, m.retries, m.refused, m.unknown,
		m.doubts, m.inDoubt, m.deadLettered, m.lost, m.duration, m.delivery, m.reachable)
	m.begin()
	return m
}

// Codes that brokers are known to answer Produce with: those after which it is
// tried again, and those after which it is not.
var (
	passing = []kafka.Error{
		kafkago.UnknownTopicOrPartition, kafkago.LeaderNotAvailable, kafkago.NotLeaderForPartition, kafkago.RequestTimedOut,
		kafkago.NotEnoughReplicas, kafkago.NotEnoughReplicasAfterAppend, kafkago.KafkaStorageError, kafkago.ThrottlingQuotaExceeded,
	}
	lasting = []kafka.Error{
		kafkago.MessageSizeTooLarge, kafkago.RecordListTooLarge, kafkago.InvalidTopic, kafkago.InvalidTimestamp, kafkago.InvalidRecord,
		kafkago.PolicyViolation, kafkago.UnsupportedCompressionType, kafkago.TopicAuthorizationFailed, kafkago.ClusterAuthorizationFailed,
	}
)

// begin lets the series of every reason that is known begin at 0, so that the
// first event is an increase.
func (m *metrics) begin() {
	for _, code := range passing {
		m.retries.WithLabelValues(label(code))
		m.refused.WithLabelValues(label(code))
	}
	for _, code := range lasting {
		m.refused.WithLabelValues(label(code))
	}
	for _, err := range []error{context.DeadlineExceeded, kafka.ErrUnreachable} {
		m.retries.WithLabelValues(label(err))
		m.refused.WithLabelValues(label(err))
	}
	for _, err := range []error{errJournal, errOverdue, errStopped} {
		m.refused.WithLabelValues(label(err))
	}
	for _, how := range []string{"found", "absent", "unknown"} {
		m.doubts.WithLabelValues(how)
	}
}

// acknowledged counts a record batch.
func (m *metrics) acknowledged(records, bytes int) {
	m.records.Add(float64(records))
	m.bytes.Add(float64(bytes))
	m.batches.Inc()
	m.batchRecords.Observe(float64(records))
	m.batchBytes.Observe(float64(bytes))
}

// resolved counts a doubt that is none any more: found, absent or unknown.
func (m *metrics) resolved(how string) { m.doubts.WithLabelValues(how).Inc() }

// failed counts records that were given up.
func (m *metrics) failed(records int, err error) {
	if errors.Is(err, record.ErrOutcomeUnknown) {
		m.unknown.Add(float64(records))
		return
	}
	m.refused.WithLabelValues(label(err)).Add(float64(records))
}

// label names an error for a metric's label, in kebab-case.
func label(err error) string {
	switch {
	case errors.Is(err, errJournal):
		return "journal"
	case errors.Is(err, errStopped):
		return "stopped"
	case errors.Is(err, errOverdue):
		return "overdue"
	default:
		return strings.ToLower(strings.Join(strings.FieldsFunc(kafka.Reason(err), notInWord), "-"))
	}
}

func notInWord(c rune) bool { return !unicode.IsLetter(c) && !unicode.IsDigit(c) }
