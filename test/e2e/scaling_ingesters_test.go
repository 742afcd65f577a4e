//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/logpipeline/logpipeline/test/e2e/scenario"
	"github.com/logpipeline/logpipeline/test/e2e/timeline"
)

const (
	queueBytes  = 2 << 20
	queueTarget = 25 // percent
)

// Ingesters of little CPU time that compress hard: a record costs much.
const floodSpec = `
  kafka: {bootstrapServers: [%[2]q]}
  topic: {partitions: %[3]d, replicationFactor: 1, deletionPolicy: Delete}
  ingester:
    queue: {maxBytes: "%[4]d"}
    requestLimits: {maxBodyBytes: 1Mi, maxRecordBytes: 64Ki}
    producer: {compression: gzip, compressionLevel: 9}
    drain: {delaySeconds: 5}
    pod: {resources: {requests: {cpu: 50m}, limits: {cpu: 50m}}}
    scaling:
      auto: {minReplicas: 1, maxReplicas: %[5]d, queueTargetPercent: %[6]d, stabilizationWindowSeconds: 30}
  consumer:
    scaling: {fixed: {replicas: 1}}
  storage:
    type: PersistentVolumeClaim
    persistentVolumeClaim: {claimName: %[1]s}
    segment: {maxAgeSeconds: 2}
`

func scaleIngesters(t *testing.T, e environment, size size, api scenario.API) {
	p := scenario.Pipeline{Name: "flood", Namespace: e.pipeline.Namespace, Brokers: e.pipeline.Brokers, Partitions: 3}
	target := float64(queueBytes) * queueTarget / 100
	watch := &timeline.Watch{API: api, Pipeline: p, Component: "ingester", Metric: timeline.QueueBytes}
	s := begin(t, e, size, api, watch, fmt.Sprintf(floodSpec, p.Name, p.Brokers, p.Partitions, queueBytes, size.mostIngesters, queueTarget))
	s.requestRecords = 500

	t.Log("a flood: from 1 ingester to the bound")
	var ebbs atomic.Bool
	flooded := make(chan error, 1)
	go func() { flooded <- s.send(t.Context(), 32, func(int64) bool { return !ebbs.Load() }) }()
	s.awaitReplicas(t, size.mostIngesters)
	s.assertSameNumbers(t)
	wait(t.Context(), size.floodedFor)
	ebbs.Store(true)
	if err := <-flooded; err != nil {
		t.Fatal(err)
	}

	t.Log("the flood is over: back to 1")
	s.awaitReplicas(t, 1)
	s.awaitNoLag(t)
	s.assertStored(t)

	for _, wrong := range timeline.WrongSteps(watch.Moments(), timeline.QueueBytes, func(m timeline.Moment) float64 { return target * float64(m.Replicas) }) {
		t.Errorf("a step in the wrong direction: %s", wrong)
	}
	s.assertServed(t)
	s.assertUndisturbed(t)
	s.delete(t)
}

func wait(ctx context.Context, span time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(span):
	}
}

// delete removes the pipeline while there is an operator that deletes its topic.
func (s *scaled) delete(t *testing.T) {
	t.Helper()
	within(t, 3*time.Minute, "delete the pipeline", func(ctx context.Context) error { return s.cluster.Delete(ctx, s.pipeline) })
}
