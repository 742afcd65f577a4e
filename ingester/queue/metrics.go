package queue

import "github.com/prometheus/client_golang/prometheus"

// metrics counts the refusals; the depth is read from the queue when asked.
type metrics struct {
	full, share, closed, neverFits prometheus.Counter
}

func newMetrics(q *Queue, reg prometheus.Registerer) metrics {
	gauge := func(name, help string, read func(Usage) float64) {
		reg.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, func() float64 { return read(q.Usage()) }))
	}
	gauge("logpipeline_ingester_queue_bytes", "Bytes that are reserved: of bodies being read, of queued batches, and of batches not yet acknowledged by Kafka.", func(u Usage) float64 { return float64(u.Bytes) })
	gauge("logpipeline_ingester_queue_batches", "Batches that wait to be taken.", func(u Usage) float64 { return float64(u.Batches) })
	gauge("logpipeline_ingester_queue_capacity_bytes", "Bytes that may be reserved at a time.", func(u Usage) float64 { return float64(u.Capacity) })
	gauge("logpipeline_ingester_queue_oldest_batch_seconds", "Time since the batch was received that has waited longest to be taken; 0 when none waits.", func(u Usage) float64 { return u.Age.Seconds() })
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
