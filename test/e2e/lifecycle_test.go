//go:build e2e

package e2e

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/logpipeline/logpipeline/test/e2e/scenario"
)

// changeAndSuspend rolls both roles by a change of the spec, suspends with
// records that are not stored yet, and resumes.
func (e environment) changeAndSuspend(t *testing.T) {
	p := e.newPipeline(t, "changes", fmt.Sprintf(`
  kafka: {bootstrapServers: [%q]}
  topic: {partitions: 3, replicationFactor: 1, deletionPolicy: Delete}
  ingester: {scaling: {auto: {minReplicas: 2, maxReplicas: 3}}}
  consumer: {scaling: {auto: {minReplicas: 2, maxReplicas: 3, targets: [{type: LagRecords, value: 1000000}]}}}
  storage:
    type: PersistentVolumeClaim
    persistentVolumeClaim: {claimName: changes}
    segment: {maxAgeSeconds: 5}
`, e.pipeline.Brokers))
	stream, before := e.stream(t, p, nil, nil), e.pods(t, p)
	e.patch(t, p, `{"spec":{"ingester":{"pod":{"annotations":{"changed":"once"}}},"consumer":{"pod":{"annotations":{"changed":"once"}}}}}`)
	e.awaitReplaced(t, p, before)
	e.goesOn(t, stream)

	e.patch(t, p, `{"spec":{"suspend":true}}`)
	// No request was lost on the way: the stream ends when nobody listens.
	within(t, 2*time.Minute, "stop listening", func(ctx context.Context) error {
		if err := stream.Ended(ctx); !errors.Is(err, syscall.ECONNREFUSED) {
			return fmt.Errorf("the stream ended, but not because nobody listens: %w", err)
		}
		return nil
	})
	await(t, 3*time.Minute, "suspend", func(ctx context.Context) error { return e.nothingLeft(ctx, p, "pods", "horizontalpodautoscalers") })
	within(t, time.Minute, "find all of it stored", func(ctx context.Context) error {
		stored, err := e.cluster.VerifyApart(ctx, p, e.images)
		if err == nil && stored.Records != stream.Records() {
			err = fmt.Errorf("%d of %d records are stored: the consumers went before they had drained the topic", stored.Records, stream.Records())
		}
		return err
	})

	e.patch(t, p, `{"spec":{"suspend":false}}`)
	await(t, 2*time.Minute, "resume", func(ctx context.Context) error { return e.readyAnew(ctx, p) })
	again := e.stream(t, p, nil, nil)
	e.stop(t, again)
	e.assertAllStored(t, p, stream, again)
	e.assertScaled(t, p)
}

func (e environment) patch(t *testing.T, p scenario.Pipeline, patch string) {
	t.Helper()
	within(t, time.Minute, "patch "+patch, func(ctx context.Context) error {
		_, err := e.cluster.Run(ctx, "patch", "logpipeline", p.Name, "-n", p.Namespace, "--type=merge", "-p", patch)
		return err
	})
}

// awaitReplaced waits until no pod of before is left, and as many others are
// ready.
func (e environment) awaitReplaced(t *testing.T, p scenario.Pipeline, before map[string]scenario.Pod) {
	t.Helper()
	await(t, 3*time.Minute, "replace the pods of "+p.Name, func(context.Context) error {
		now := e.pods(t, p)
		if len(now) < len(before) {
			return fmt.Errorf("there are %d pods, want %d", len(now), len(before))
		}
		for uid, pod := range now {
			if _, old := before[uid]; old || !pod.Ready {
				return fmt.Errorf("pod %s is an old one, or not ready", pod.Name)
			}
		}
		return e.readyAnew(t.Context(), p)
	})
}

// readyAnew tells whether the pipeline is Ready as its spec is now.
func (e environment) readyAnew(ctx context.Context, p scenario.Pipeline) error {
	said, err := e.cluster.Run(ctx, "get", "logpipeline", p.Name, "-n", p.Namespace, "-o", "jsonpath={.metadata.generation}")
	if err != nil {
		return err
	}
	ready, err := e.cluster.Condition(ctx, p, "Ready")
	if err == nil && (ready.Status != "True" || fmt.Sprint(ready.ObservedGeneration) != said) {
		err = fmt.Errorf("generation %s is not Ready: %+v", said, ready)
	}
	return err
}

// nothingLeft of a pipeline.
func (e environment) nothingLeft(ctx context.Context, p scenario.Pipeline, kinds ...string) error {
	left, err := e.cluster.Run(ctx, "get", strings.Join(kinds, ","), "-n", p.Namespace, "-l", "app.kubernetes.io/instance="+p.Name, "-o", "name")
	if err == nil && left != "" {
		err = fmt.Errorf("left of %s: %s", p.Name, strings.Fields(left))
	}
	return err
}

// assertScaled: an autoscaler that meets 0 replicas does nothing, for ever.
func (e environment) assertScaled(t *testing.T, p scenario.Pipeline) {
	t.Helper()
	await(t, 2*time.Minute, "scale "+p.Name, func(ctx context.Context) error {
		for _, role := range []string{"ingester", "consumer"} {
			said, err := e.cluster.Run(ctx, "get", "horizontalpodautoscaler", p.Name+"-"+role, "-n", p.Namespace,
				"-o", `jsonpath={.status.conditions[?(@.type=="ScalingActive")].status} {.status.currentReplicas}`)
			if err != nil {
				return err
			}
			if !strings.HasPrefix(said, "True ") || said == "True 0" {
				return fmt.Errorf("the autoscaler of the %s says %q", role, said)
			}
		}
		return nil
	})
}
