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
	return fmt.Sprintf(`apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: %[1]s, namespace: %[2]s}
spec:
  accessModes: [ReadWriteOnce]
  resources: {requests: {storage: 1Gi}}
---
apiVersion: ingest.logpipeline.io/v1alpha1
kind: LogPipeline
metadata: {name: %[1]s, namespace: %[2]s}
spec:
  kafka:
    bootstrapServers: %[3]s
  topic:
    partitions: %[4]d
    replicationFactor: 1
    deletionPolicy: %[5]s
  storage:
    type: PersistentVolumeClaim
    persistentVolumeClaim: {claimName: %[1]s}
    segment: {maxAgeSeconds: 2}
`, p.Name, p.Namespace, servers, p.Partitions, p.DeletionPolicy)
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
