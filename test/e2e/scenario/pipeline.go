package scenario

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
)

// Pipeline names a LogPipeline and the brokers that it uses.
type Pipeline struct {
	Name, Namespace string
	Brokers         string // comma-separated host:port
	Partitions      int
	DeletionPolicy  string // of the topic: Retain or Delete
}

// EnsureNamespace makes the pipeline's namespace, in which the API server
// enforces the restricted Pod Security Standard.
func (c Cluster) EnsureNamespace(ctx context.Context, p Pipeline) error {
	return c.Apply(ctx, fmt.Sprintf(`
apiVersion: v1
kind: Namespace
metadata: {name: %s, labels: {pod-security.kubernetes.io/enforce: restricted}}
`, p.Namespace))
}

// Manifest is what a user applies: a claim for the segments and the pipeline.
func (p Pipeline) Manifest() string {
	servers, _ := json.Marshal(strings.Split(p.Brokers, ",")) // strings always marshal
	return p.Claim("ReadWriteOnce") + "---\n" + p.Resource(fmt.Sprintf(`
  kafka:
    bootstrapServers: %s
  topic:
    partitions: %d
    replicationFactor: 1
    deletionPolicy: %s
  storage:
    type: PersistentVolumeClaim
    persistentVolumeClaim: {claimName: %s}
    segment: {maxAgeSeconds: 2}
`, servers, p.Partitions, p.DeletionPolicy, p.Name))
}

// Claim is one of the pipeline's name for its segments.
func (p Pipeline) Claim(accessMode string) string {
	return fmt.Sprintf(`apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: %s, namespace: %s}
spec:
  accessModes: [%s]
  resources: {requests: {storage: 1Gi}}
`, p.Name, p.Namespace, accessMode)
}

// Resource is the LogPipeline with a spec: lines that begin with a new one and
// are indented.
func (p Pipeline) Resource(spec string) string {
	return fmt.Sprintf(`apiVersion: ingest.logpipeline.io/v1alpha1
kind: LogPipeline
metadata: {name: %s, namespace: %s}
spec:%s`, p.Name, p.Namespace, spec)
}

// Start applies the pipeline's manifest and waits until it is Ready.
func (c Cluster) Start(ctx context.Context, p Pipeline) error {
	if err := c.Apply(ctx, p.Manifest()); err != nil {
		return err
	}
	return c.AwaitReady(ctx, p)
}

// AwaitReady waits until the pipeline is Ready; the error says what it is
// instead.
func (c Cluster) AwaitReady(ctx context.Context, p Pipeline) error {
	_, err := c.Run(ctx, "wait", "--for=condition=Ready", "logpipeline/"+p.Name, "-n", p.Namespace, "--timeout=2m")
	if err != nil {
		conditions, _ := c.Run(ctx, "get", "logpipeline", p.Name, "-n", p.Namespace, "-o", "jsonpath={.status.conditions}")
		return fmt.Errorf("%w\nconditions: %s", err, conditions)
	}
	return nil
}

// Delete deletes the pipeline and waits until it and its children are gone.
func (c Cluster) Delete(ctx context.Context, p Pipeline) error {
	if _, err := c.Run(ctx, "delete", "logpipeline", p.Name, "-n", p.Namespace, "--wait", "--timeout=2m"); err != nil {
		return err
	}
	return Eventually(ctx, func() error {
		left, err := c.Run(ctx, "get", "deployments,services,configmaps,serviceaccounts,pods", "-n", p.Namespace,
			"-l", "app.kubernetes.io/instance="+p.Name, "-o", "name")
		if err != nil {
			return err
		}
		if left != "" {
			return fmt.Errorf("left after the deletion of %s: %s", p.Name, strings.Fields(left))
		}
		return nil
	})
}

// Restart restarts the pods of one of the pipeline's Deployments ("ingester"
// or "consumer") and waits until the new ones serve.
func (c Cluster) Restart(ctx context.Context, p Pipeline, workload string) error {
	deployment := "deployment/" + p.Name + "-" + workload
	if _, err := c.Run(ctx, "rollout", "restart", deployment, "-n", p.Namespace); err != nil {
		return err
	}
	_, err := c.Run(ctx, "rollout", "status", deployment, "-n", p.Namespace, "--timeout=2m")
	return err
}
