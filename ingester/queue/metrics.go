package queue

import "github.com/prometheus/client_golang/prometheus"

// metrics counts the refusals; the depth is read from the queue when asked.
type metrics struct {
	full, share, closed, neverFits prometheus.Counter
}

func newMetrics(q *Queue, reg prometheus.Registerer) metrics {
	gauge := func(name, help string, read func() float64) {
		reg.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, read))
	}
	gauge("logpipeline_ingester_queue_bytes", "Bytes that are reserved: of bodies being read, of queued batches, and of batches not yet acknowledged by Kafka.", func() float64 {
		q.mu.Lock()
		defer q.mu.Unlock()
		return float64(q.unput + q.put)
	})
	gauge("logpipeline_ingester_queue_batches", "Batches that wait to be taken.", func() float64 {
		q.mu.Lock()
		defer q.mu.Unlock()
		return float64(q.lenLocked())
	})
	gauge("logpipeline_ingester_queue_capacity_bytes", "Bytes that may be reserved at a time.", func() float64 {
		return float64(q.maxBytes)
	})
	refused := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "logpipeline_ingester_queue_refused_total",
		Help: "Reservations that were refused: the queue was full, or for this connection (share), closed, or too small for the reservation at any time (never-fits).",
	}, []string{"reason"})
	reg.MustRegister(refused)
	return metrics{
		full:      refused.WithLabelValues("full"),
		share:     refused.WithLabelValues("share"),
		closed:    refused.WithLabelValues("closed"),
		neverFits: refused.WithLabelValues("never-fits"),
	}
}
