//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/logpipeline/logpipeline/test/e2e/scenario"
)

// children are the kinds of objects that a pipeline has.
var children = []string{"deployments", "pods", "services", "configmaps", "serviceaccounts", "networkpolicies", "poddisruptionbudgets", "horizontalpodautoscalers"}

// deleteInEveryWay looks at what becomes of the children and the topic.
func (e environment) deleteInEveryWay(t *testing.T) {
	kafka := realBroker(t)
	ways := map[string]struct {
		policy    string
		arguments func(p scenario.Pipeline) []string
	}{
		"plain": {"Retain", func(p scenario.Pipeline) []string { return []string{"logpipeline", p.Name, "-n", p.Namespace} }},
		"foreground": {"Delete", func(p scenario.Pipeline) []string {
			return []string{"logpipeline", p.Name, "-n", p.Namespace, "--cascade=foreground"}
		}},
		"namespace": {"Delete", func(p scenario.Pipeline) []string { return []string{"namespace", p.Namespace} }},
	}
	for name, way := range ways {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := e.newEphemeral(t, "deleted-"+name, way.policy)
			e.awaitReady(t, p)
			kafka.awaitTopic(t, p.Namespace+"."+p.Name, true)
			within(t, 2*time.Minute, "delete", func(ctx context.Context) error {
				_, err := e.cluster.Run(ctx, append([]string{"delete", "--wait", "--timeout=2m"}, way.arguments(p)...)...)
				return err
			})
			await(t, time.Minute, "remove the children", func(ctx context.Context) error { return e.nothingLeft(ctx, p, children...) })
			kafka.awaitTopic(t, p.Namespace+"."+p.Name, way.policy == "Retain")
			if way.policy == "Retain" {
				kafka.deleteTopic(t, p.Namespace+"."+p.Name)
			}
		})
	}
}

// newEphemeral is a pipeline whose records nobody wants.
func (e environment) newEphemeral(t *testing.T, name, deletionPolicy string) scenario.Pipeline {
	t.Helper()
	p := e.pipelineNamed(t, name)
	e.create(t, p, fmt.Sprintf(`
  kafka: {bootstrapServers: [%q]}
  topic: {partitions: 1, replicationFactor: 1, deletionPolicy: %s}
  ingester: {scaling: {fixed: {replicas: 1}}, drain: {delaySeconds: 1}}
  storage: {type: Ephemeral}
`, e.pipeline.Brokers, deletionPolicy))
	return p
}
