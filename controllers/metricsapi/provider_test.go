package metricsapi

import (
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/logpipeline/logpipeline/controllers/scaling"
)

func TestPrometheusSeesTheSame(t *testing.T) {
	store := scaling.NewStore()
	now := time.Now()
	known := func(v float64) scaling.Value { return scaling.Value{Value: v, At: now} }
	store.Put(scaling.Pipeline{Namespace: "logs", Name: "orders"}, scaling.Sample{
		QueueBytes: known(5), LagRecords: known(600), WantedReplicas: known(3), DelaySeconds: known(12.5),
		Rates: scaling.Rates{Arrival: 100, Drain: 300},
	})
	store.Put(scaling.Pipeline{Namespace: "logs", Name: "unknown"}, scaling.Sample{QueueBytes: scaling.Value{Value: 9, At: now.Add(-time.Hour)}})
	want := `
# HELP logpipeline_consumer_arrival_records_per_second Records that arrive in a pipeline's topic.
# TYPE logpipeline_consumer_arrival_records_per_second gauge
logpipeline_consumer_arrival_records_per_second{namespace="logs",pipeline="orders"} 100
# HELP logpipeline_consumer_delay_seconds Age of the oldest record of a pipeline that is not stored yet.
# TYPE logpipeline_consumer_delay_seconds gauge
logpipeline_consumer_delay_seconds{namespace="logs",pipeline="orders"} 12.5
# HELP logpipeline_consumer_drain_records_per_second Records of a pipeline that get stored.
# TYPE logpipeline_consumer_drain_records_per_second gauge
logpipeline_consumer_drain_records_per_second{namespace="logs",pipeline="orders"} 300
# HELP logpipeline_consumer_lag_records Records of a pipeline that are not stored yet, as its autoscaler is told.
# TYPE logpipeline_consumer_lag_records gauge
logpipeline_consumer_lag_records{namespace="logs",pipeline="orders"} 600
# HELP logpipeline_consumer_time_left_seconds Time until a pipeline's lag is gone; left out while it does not go.
# TYPE logpipeline_consumer_time_left_seconds gauge
logpipeline_consumer_time_left_seconds{namespace="logs",pipeline="orders"} 3
# HELP logpipeline_consumer_wanted_replicas Consumers that a pipeline takes to keep to its target delay, as its autoscaler is told.
# TYPE logpipeline_consumer_wanted_replicas gauge
logpipeline_consumer_wanted_replicas{namespace="logs",pipeline="orders"} 3
# HELP logpipeline_ingester_queue_bytes Bytes in the queues of all ingesters of a pipeline, as its autoscaler is told.
# TYPE logpipeline_ingester_queue_bytes gauge
logpipeline_ingester_queue_bytes{namespace="logs",pipeline="orders"} 5
`
	if err := testutil.CollectAndCompare(NewGauges(store), strings.NewReader(want)); err != nil {
		t.Error(err)
	}
}
