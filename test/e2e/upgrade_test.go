//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/logpipeline/logpipeline/test/e2e/scenario"
)

// upgrade gives the operator, and with it all pods, other images while two
// pipelines take records.
func (e environment) upgrade(t *testing.T) {
	var pipelines []scenario.Pipeline
	for _, name := range []string{"upgraded-a", "upgraded-b"} {
		p := e.pipelineNamed(t, name)
		e.claim(t, p)
		e.create(t, p, fmt.Sprintf(`
  kafka: {bootstrapServers: [%q]}
  topic: {partitions: 2, replicationFactor: 1, deletionPolicy: Delete}
  storage:
    type: PersistentVolumeClaim
    persistentVolumeClaim: {claimName: %s}
    segment: {maxAgeSeconds: 2}
`, e.pipeline.Brokers, name))
		pipelines = append(pipelines, p)
	}
	e.awaitReady(t, pipelines...)
	streams, before := []*scenario.Stream{}, []map[string]scenario.Pod{}
	for _, p := range pipelines {
		streams, before = append(streams, e.stream(t, p, nil, nil)), append(before, e.pods(t, p))
	}
	within(t, 3*time.Minute, "upgrade the operator", func(ctx context.Context) error {
		return e.cluster.Install(ctx, "../../charts/logpipeline", e.next)
	})
	for i, p := range pipelines {
		e.awaitReplaced(t, p, before[i])
	}
	for i, p := range pipelines {
		e.goesOn(t, streams[i])
		e.stop(t, streams[i])
		e.assertAllStored(t, p, streams[i])
	}
}

// uninstall takes the operator away from pipelines that want their topics
// deleted: one is let go by hand, one when the operator is back. Nothing that
// the operator leaves behind holds a namespace.
func (e environment) uninstall(t *testing.T) {
	kafka := realBroker(t)
	byHand, byOperator := e.newEphemeral(t, "abandoned", "Delete"), e.newEphemeral(t, "waiting", "Delete")
	e.awaitReady(t, byHand, byOperator)
	within(t, time.Minute, "uninstall the operator", e.cluster.Uninstall)
	for _, p := range []scenario.Pipeline{byHand, byOperator} {
		within(t, time.Minute, "ask for the deletion of "+p.Name, func(ctx context.Context) error {
			_, err := e.cluster.Run(ctx, "delete", "logpipeline", p.Name, "-n", p.Namespace, "--wait=false")
			return err
		})
	}
	e.patch(t, byHand, `{"metadata":{"finalizers":null}}`)
	within(t, 2*time.Minute, "delete the namespace of "+byHand.Name, func(ctx context.Context) error {
		_, err := e.cluster.Run(ctx, "delete", "namespace", byHand.Namespace, "--wait", "--timeout=2m")
		return err
	})
	kafka.awaitTopic(t, byHand.Namespace+"."+byHand.Name, true)
	kafka.deleteTopic(t, byHand.Namespace+"."+byHand.Name)

	if _, err := e.cluster.Run(t.Context(), "get", "logpipeline", byOperator.Name, "-n", byOperator.Namespace); err != nil {
		t.Errorf("%s was to wait for the operator: %v", byOperator.Name, err)
	}
	within(t, 3*time.Minute, "install the operator again", func(ctx context.Context) error {
		return e.cluster.Install(ctx, "../../charts/logpipeline", e.images)
	})
	await(t, 2*time.Minute, "finish the deletion", func(ctx context.Context) error {
		_, err := e.cluster.Run(ctx, "wait", "--for=delete", "logpipeline/"+byOperator.Name, "-n", byOperator.Namespace, "--timeout=1m")
		return err
	})
	kafka.awaitTopic(t, byOperator.Namespace+"."+byOperator.Name, false)
	within(t, time.Minute, "uninstall the operator", e.cluster.Uninstall)
	for _, namespace := range []string{byOperator.Namespace, scenario.OperatorNamespace} {
		within(t, 2*time.Minute, "delete namespace "+namespace, func(ctx context.Context) error {
			_, err := e.cluster.Run(ctx, "delete", "namespace", namespace, "--wait", "--timeout=2m")
			return err
		})
	}
}
