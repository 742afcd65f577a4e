package mounted

import "github.com/prometheus/client_golang/prometheus"

// metrics are labelled with the name that the files were opened under.
type metrics struct {
	reloads     *prometheus.CounterVec
	failures    *prometheus.CounterVec
	lastSuccess *prometheus.GaugeVec
}

func newMetrics(reg prometheus.Registerer) metrics {
	m := metrics{
		reloads: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "logpipeline_ingester_mounted_reloads_total",
			Help: "Changes of mounted files that were taken into use.",
		}, []string{"files"}),
		failures: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "logpipeline_ingester_mounted_reload_failures_total",
			Help: "Attempts to read mounted files again that failed, every few seconds one more as long as they do; what was good before stays in use, but of independent files, as those of clients, only the good ones do.",
		}, []string{"files"}),
		lastSuccess: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "logpipeline_ingester_mounted_last_success_timestamp_seconds",
			Help: "When mounted files were last read and found good, changed or not; at most a minute ago unless they are bad.",
		}, []string{"files"}),
	}
	reg.MustRegister(m.reloads, m.failures, m.lastSuccess)
	return m
}

// opened lets the series of name begin.
func (m metrics) opened(name string) {
	m.reloads.WithLabelValues(name)
	m.failures.WithLabelValues(name)
	m.lastSuccess.WithLabelValues(name).SetToCurrentTime()
}
