package httpapi

import (
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/logpipeline/logpipeline/ingester/config"
)

// statusClientGone counts requests whose client left before the answer; the
// number is nginx's, no response carries it.
const statusClientGone = 499

// metrics count requests. Every label has a bounded number of values.
type metrics struct {
	requests        *prometheus.CounterVec
	refused         *prometheus.CounterVec
	replayed        prometheus.Counter
	inFlight        prometheus.Gauge
	duration        prometheus.Histogram
	acceptedBatches *prometheus.CounterVec
	acceptedRecords *atomic.Int64
	acceptedBytes   prometheus.Counter
	batchBytes      prometheus.Histogram
	batchRecords    prometheus.Histogram

	// What the hot path counts, found once.
	ok, taken                  prometheus.Counter // of requests: 200 and 202
	batchProduced, batchQueued prometheus.Counter // of acceptedBatches
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
		replayed: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "logpipeline_ingester_requests_replayed_total",
			Help: "Requests that were answered as an earlier one with the same Idempotency-Key; their records were not taken again.",
		}),
		inFlight: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "logpipeline_ingester_requests_in_flight",
			Help: "Requests that are being handled.",
		}),
		duration: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "logpipeline_ingester_request_duration_seconds",
			Help:    "Time from a request's header to the end of its response.",
			Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 120},
		}),
		acceptedBatches: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "logpipeline_ingester_accepted_batches_total",
			Help: "Batches that were put into the queue or the spool, by the acknowledgement that their clients wait for.",
		}, []string{"acknowledgement"}),
		acceptedRecords: new(atomic.Int64),
		acceptedBytes: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "logpipeline_ingester_accepted_bytes_total",
			Help: "Bytes of the records that were put into the queue or the spool.",
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
	m.ok, m.taken = m.requests.WithLabelValues("200"), m.requests.WithLabelValues("202")
	for _, k := range kinds { // an alert needs the series before the first refusal
		m.refused.WithLabelValues(k.name)
	}
	m.batchProduced = m.acceptedBatches.WithLabelValues(string(config.AcknowledgeProduced))
	m.batchQueued = m.acceptedBatches.WithLabelValues(string(config.AcknowledgeQueued))
	reg.MustRegister(m.requests, m.refused, m.replayed, m.inFlight, m.duration, m.acceptedBatches, m.recordCounter(), m.acceptedBytes, m.batchBytes, m.batchRecords)
	return m
}

// recordCounter shows acceptedRecords, which are signalled, too.
func (m *metrics) recordCounter() prometheus.Collector {
	return prometheus.NewCounterFunc(prometheus.CounterOpts{
		Name: "logpipeline_ingester_accepted_records_total",
		Help: "Records that were put into the queue or the spool.",
	}, func() float64 { return float64(m.acceptedRecords.Load()) })
}

// accepted counts a batch that was put into the queue or the spool.
func (m *metrics) accepted(queued bool, records int, bytes int64) {
	if queued {
		m.batchQueued.Inc()
	} else {
		m.batchProduced.Inc()
	}
	m.acceptedRecords.Add(int64(records))
	m.acceptedBytes.Add(float64(bytes))
	m.batchRecords.Observe(float64(records))
	m.batchBytes.Observe(float64(bytes))
}

// observe counts a request that was answered with the status, because of p if
// that is not nil.
func (m *metrics) observe(status int, p *problem, took time.Duration) {
	m.duration.Observe(took.Seconds())
	if p != nil {
		m.refused.WithLabelValues(p.kind.name).Inc()
		if p.clientGone {
			status = statusClientGone
		}
	}
	switch status {
	case http.StatusOK:
		m.ok.Inc()
	case http.StatusAccepted:
		m.taken.Inc()
	default:
		m.requests.WithLabelValues(strconv.Itoa(status)).Inc()
	}
}
