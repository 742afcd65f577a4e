package httpapi

import (
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// statusClientGone counts requests whose client left before the answer; the
// number is nginx's, no response carries it.
const statusClientGone = 499

type metrics struct {
	requests        *prometheus.CounterVec
	refused         *prometheus.CounterVec
	inFlight        prometheus.Gauge
	duration        prometheus.Histogram
	acceptedRecords prometheus.Counter
	acceptedBytes   prometheus.Counter
	batchBytes      prometheus.Histogram
	batchRecords    prometheus.Histogram
}

func newMetrics(reg prometheus.Registerer) metrics {
	m := metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "logpipeline_ingester_requests_total",
			Help: "Requests by the status of their response; 499 where the client left before its records were acknowledged.",
		}, []string{"code"}),
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "logpipeline_ingester_requests_refused_total",
			Help: "Requests that were answered with a problem, by the name of the problem.",
		}, []string{"reason"}),
		inFlight: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "logpipeline_ingester_requests_in_flight",
			Help: "Requests that are being handled.",
		}),
		duration: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "logpipeline_ingester_request_duration_seconds",
			Help:    "Time from a request's header to the end of its response.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 120},
		}),
		acceptedRecords: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "logpipeline_ingester_accepted_records_total",
			Help: "Records that were put into the queue.",
		}),
		acceptedBytes: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "logpipeline_ingester_accepted_bytes_total",
			Help: "Bytes of the records that were put into the queue.",
		}),
		batchBytes: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "logpipeline_ingester_batch_bytes",
			Help:    "Bytes of records in an accepted request.",
			Buckets: prometheus.ExponentialBuckets(256, 4, 10),
		}),
		batchRecords: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "logpipeline_ingester_batch_records",
			Help:    "Records in an accepted request.",
			Buckets: prometheus.ExponentialBuckets(1, 4, 10),
		}),
	}
	reg.MustRegister(m.requests, m.refused, m.inFlight, m.duration, m.acceptedRecords, m.acceptedBytes, m.batchBytes, m.batchRecords)
	return m
}

// accepted counts a batch that was put into the queue.
func (m *metrics) accepted(records int, bytes int64) {
	m.acceptedRecords.Add(float64(records))
	m.acceptedBytes.Add(float64(bytes))
	m.batchRecords.Observe(float64(records))
	m.batchBytes.Observe(float64(bytes))
}

// observe counts a request that was answered, with p or, if that is nil, with
// a receipt.
func (m *metrics) observe(p *problem, took time.Duration) {
	status := http.StatusOK
	if p != nil {
		status = p.Status
		m.refused.WithLabelValues(p.kind.name).Inc()
	}
	if p != nil && p.clientGone {
		status = statusClientGone
	}
	m.requests.WithLabelValues(strconv.Itoa(status)).Inc()
	m.duration.Observe(took.Seconds())
}
