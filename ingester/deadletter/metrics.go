package deadletter

import "github.com/prometheus/client_golang/prometheus"

// metrics of a Store.
type metrics struct {
	written *prometheus.CounterVec
	moved   prometheus.Counter
	refused prometheus.Counter
	stuck   prometheus.Gauge
}

func newMetrics(reg prometheus.Registerer, f *folder) metrics {
	m := metrics{
		written: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "logpipeline_deadletter_records_total",
			Help: "Records that were kept as dead letters: in the topic, or in the folder; definitely not delivered, or with their outcome unknown.",
		}, []string{"place", "reason"}),
		moved: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "logpipeline_deadletter_moved_records_total",
			Help: "Records that were moved from the folder to the topic.",
		}),
		refused: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "logpipeline_deadletter_refused_records_total",
			Help: "Records that could not be kept, because the folder was full or failed. They are lost, unless the spool has them.",
		}),
		stuck: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "logpipeline_deadletter_stuck_letters",
			Help: "Letters in the folder that can't be moved to the topic: the topic refuses them; or corrupt files.",
		}),
	}
	reg.MustRegister(m.written, m.moved, m.refused, m.stuck)
	for _, place := range []string{placeTopic, placeFolder} {
		for _, unknown := range []bool{false, true} {
			m.written.WithLabelValues(place, reasonClass(unknown))
		}
	}
	gauge := func(name, help string, read func() float64) {
		reg.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, read))
	}
	gauge("logpipeline_deadletter_folder_bytes", "Bytes of the dead letters in the folder.", func() float64 {
		bytes, _ := f.usage()
		return float64(bytes)
	})
	gauge("logpipeline_deadletter_folder_files", "Files in the folder, each of one dead letter or more.", func() float64 {
		_, files := f.usage()
		return float64(files)
	})
	gauge("logpipeline_deadletter_folder_capacity_bytes", "Bytes that the folder may hold.", func() float64 { return float64(f.max) })
	return m
}

const (
	placeTopic  = "topic"
	placeFolder = "folder"
)

func reasonClass(unknown bool) string {
	if unknown {
		return "unknown"
	}
	return "not-delivered"
}
