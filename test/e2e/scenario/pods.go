package scenario

import (
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
	"time"
)

// Pod is one of a pipeline's.
type Pod struct {
	Name, UID string
	Restarts  int
	Ready     bool
}

// Pods of one of the pipeline's roles ("ingester" or "consumer"), those that
// are going away among them.
func (c Cluster) Pods(ctx context.Context, p Pipeline, role string) ([]Pod, error) {
	said, err := c.Run(ctx, "get", "pods", "-n", p.Namespace, "-o", "json", "--sort-by=.metadata.name",
		"-l", "app.kubernetes.io/instance="+p.Name+",app.kubernetes.io/component="+role)
	if err != nil {
		return nil, err
	}
	var list struct {
		Items []struct {
			Metadata struct{ Name, UID string }
			Status   struct {
				ContainerStatuses []struct {
					Ready        bool
					RestartCount int
				}
			}
		}
	}
	if err := json.Unmarshal([]byte(said), &list); err != nil {
		return nil, err
	}
	var pods []Pod
	for _, item := range list.Items {
		pod := Pod{Name: item.Metadata.Name, UID: item.Metadata.UID}
		for _, container := range item.Status.ContainerStatuses {
			pod.Restarts += container.RestartCount
			pod.Ready = container.Ready
		}
		pods = append(pods, pod)
	}
	return pods, nil
}

// Metric is a series of a pod's metrics, such as up{a="b"}, read through the
// API server.
func (c Cluster) Metric(ctx context.Context, p Pipeline, pod, series string) (float64, error) {
	said, err := c.Run(ctx, "get", "--raw", "/api/v1/namespaces/"+p.Namespace+"/pods/"+pod+":9090/proxy/metrics")
	if err != nil {
		return 0, err
	}
	match := regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(series) + ` (\S+)$`).FindStringSubmatch(said)
	if match == nil {
		return 0, fmt.Errorf("pod %s has no series %s", pod, series)
	}
	return strconv.ParseFloat(match[1], 64)
}

// Address of the pipeline's Service, host and port.
func (c Cluster) Address(ctx context.Context, p Pipeline) (string, error) {
	return c.Run(ctx, "get", "service", p.Name+"-ingester", "-n", p.Namespace,
		"-o", "jsonpath={.spec.clusterIP}:{.spec.ports[0].port}")
}

// Condition of a LogPipeline.
type Condition struct {
	Type, Status, Reason, Message string
	LastTransitionTime            time.Time
	ObservedGeneration            int64
}

// Condition of the pipeline, of the given type; the zero value while it has none.
func (c Cluster) Condition(ctx context.Context, p Pipeline, conditionType string) (Condition, error) {
	said, err := c.Run(ctx, "get", "logpipeline", p.Name, "-n", p.Namespace, "-o", `jsonpath={.status.conditions[?(@.type=="`+conditionType+`")]}`)
	if err != nil || said == "" {
		return Condition{}, err
	}
	var condition Condition
	return condition, json.Unmarshal([]byte(said), &condition)
}

// PutSecret makes a Secret hold the data, and nothing else.
func (c Cluster) PutSecret(ctx context.Context, namespace, name string, data map[string][]byte) error {
	manifest, err := json.Marshal(map[string]any{
		"apiVersion": "v1", "kind": "Secret", "metadata": map[string]any{"name": name, "namespace": namespace}, "data": data,
	})
	if err != nil {
		return err
	}
	return c.Apply(ctx, string(manifest))
}
