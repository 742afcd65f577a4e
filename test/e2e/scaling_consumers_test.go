//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/logpipeline/logpipeline/api/v1alpha1"
	"github.com/logpipeline/logpipeline/test/e2e/scenario"
	"github.com/logpipeline/logpipeline/test/e2e/timeline"
)

// targetDelay is small, so that a short burst wants many consumers.
const targetDelay = 10 // seconds

// batchRecords are the records of a request, and of a record batch at the most.
const batchRecords = 100

// Consumers of little CPU time and many small segments: a record costs much. A
// consumer that did not leave its group when it is taken away would hold its
// partitions for ten minutes.
const burstSpec = `
  kafka: {bootstrapServers: [%[2]q]}
  topic: {partitions: %[3]d, replicationFactor: 1, deletionPolicy: Delete}
  ingester:
    producer: {batchRecords: %[6]d}
    scaling: {fixed: {replicas: 1}}
  consumer:
    sessionTimeoutSeconds: 600
    fetchMaxBytes: 64Ki
    pod: {resources: {requests: {cpu: 20m}, limits: {cpu: 20m}}}
    scaling:
      auto:
        minReplicas: 0
        maxReplicas: %[4]d
        targets: [{type: DelaySeconds, value: %[5]d}]
        stabilizationWindowSeconds: 30
  storage:
    type: PersistentVolumeClaim
    persistentVolumeClaim: {claimName: %[1]s}
    segment: {maxAgeSeconds: 2, maxBytes: 32Ki, compression: gzip}
`

func scaleConsumers(t *testing.T, e environment, size size, api scenario.API) {
	p := scenario.Pipeline{Name: "burst", Namespace: e.pipeline.Namespace, Brokers: e.pipeline.Brokers, Partitions: size.partitions}
	watch := &timeline.Watch{API: api, Pipeline: p, Component: "consumer", Metric: timeline.WantedReplicas}
	s := begin(t, e, size, api, watch, fmt.Sprintf(burstSpec, p.Name, p.Brokers, p.Partitions, p.Partitions+2, targetDelay, batchRecords))
	s.requestRecords = batchRecords

	t.Log("a burst: from 1 consumer to as many as there are partitions")
	batches := size.burstRecords / batchRecords
	s.flood(t, 16, func(number int64) bool { return number < batches })
	s.await(t, 3*time.Minute, "the first consumer more", func(m timeline.Moment) bool { return m.Replicas > 1 })
	s.killLeader(t)
	s.awaitReplicas(t, p.Partitions)
	s.assertSameNumbers(t)
	s.awaitReason(t, v1alpha1.ConditionAutoscalingActive, v1alpha1.ReasonPartitionsExhausted)
	s.assertObserved(t)

	t.Log("the burst is stored: back, while a few records go on coming until 1 consumer is left")
	s.awaitNoLag(t)
	s.trickleUntil(t, 1)
	s.awaitNoLag(t)
	s.awaitReplicas(t, 0)
	s.assertStored(t)

	t.Log("asleep, and awake again")
	s.flood(t, 1, func(number int64) bool { return number < 4 })
	s.await(t, 3*time.Minute, "a consumer again", func(m timeline.Moment) bool { return m.Replicas > 0 })
	s.awaitNoLag(t)
	s.assertStored(t)

	for _, wrong := range timeline.WrongSteps(watch.Moments(), timeline.DelaySeconds, func(timeline.Moment) float64 { return targetDelay }) {
		t.Errorf("a step in the wrong direction: %s", wrong)
	}
	s.assertReadOnce(t)
	s.assertServed(t)
	s.assertUndisturbed(t)
	s.delete(t)
}

// trickleUntil feeds a batch at each look until so many pods are left.
func (s *scaled) trickleUntil(t *testing.T, replicas int) {
	t.Helper()
	within(t, 6*time.Minute, "feed a trickle", func(ctx context.Context) error {
		for {
			if err := s.send(ctx, 1, func(number int64) bool { return number < 1 }); err != nil {
				return err
			}
			m, err := s.watch.Await(ctx, func(timeline.Moment) bool { return true })
			if err != nil || m.Replicas == replicas {
				return err
			}
		}
	})
}

// assertReadOnce expects that whoever took a partition over began where the one
// before it had sealed, but for one unsealed segment of each partition.
func (s *scaled) assertReadOnce(t *testing.T) {
	t.Helper()
	var appended int64
	for _, pod := range s.watch.Pods("consumer") {
		if c := pod.Signals.Consumer; c != nil {
			appended += c.AppendedRecords
		}
	}
	again := appended - s.fed.Load()
	t.Logf("%d records were read again", max(0, again))
	if most := int64(s.pipeline.Partitions * segmentRecords); again > most {
		t.Errorf("%d records were read again, more than the %d of an unsealed segment in each partition", again, most)
	}
}

// segmentRecords is what a segment of the burst has at the most: what is over
// its bound is less than one record batch.
const segmentRecords = (32<<10)/200 + batchRecords
