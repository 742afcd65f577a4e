package resources

import (
	"fmt"

	"github.com/logpipeline/logpipeline/api/v1alpha1"
)

// Every name of a child is made here, from the pipeline's name and a suffix.
// No suffix ends with another one of the same kind of object, so two
// pipelines of one namespace never meet. The pipeline's name has at most 45
// characters: with a suffix it fits a Service (63).
const (
	ingesterSuffix = "-ingester"
	consumerSuffix = "-consumer"
	sharedSuffix   = "-logpipeline"
)

// IngesterName is the name of the ingesters' Deployment and Service.
func IngesterName(p *v1alpha1.LogPipeline) string { return p.Name + ingesterSuffix }

// ConsumerName is the name of the consumers' Deployment.
func ConsumerName(p *v1alpha1.LogPipeline) string { return p.Name + consumerSuffix }

// SharedName is the name of the ConfigMap and the ServiceAccount, which
// ingesters and consumers share.
func SharedName(p *v1alpha1.LogPipeline) string { return p.Name + sharedSuffix }

// TopicName is spec.topic.name, or <namespace>.<name>.
func TopicName(p *v1alpha1.LogPipeline) string {
	if p.Spec.Topic.Name != "" {
		return p.Spec.Topic.Name
	}
	return p.Namespace + "." + p.Name
}

// Endpoint is the URL, within the cluster, to POST records to.
func Endpoint(p *v1alpha1.LogPipeline) string {
	return fmt.Sprintf("http://%s.%s.svc:%d/logs", IngesterName(p), p.Namespace, ingestPort)
}

// The roles, as values of the label app.kubernetes.io/component.
const (
	ingesterRole = "ingester"
	consumerRole = "consumer"
)

// ManagedByLabel and ManagedByValue mark every child.
const (
	ManagedByLabel = "app.kubernetes.io/managed-by"
	ManagedByValue = "logpipeline-operator"
)

// selectorLabels pick the pods of one role of one pipeline. They cannot be
// changed once a Deployment exists.
func selectorLabels(p *v1alpha1.LogPipeline, role string) map[string]string {
	return map[string]string{
		"app.kubernetes.io/name":      "logpipeline",
		"app.kubernetes.io/instance":  p.Name,
		"app.kubernetes.io/component": role,
	}
}

func roleLabels(p *v1alpha1.LogPipeline, role string) map[string]string {
	labels := selectorLabels(p, role)
	labels[ManagedByLabel] = ManagedByValue
	return labels
}

func sharedLabels(p *v1alpha1.LogPipeline) map[string]string {
	return map[string]string{
		"app.kubernetes.io/name":     "logpipeline",
		"app.kubernetes.io/instance": p.Name,
		ManagedByLabel:               ManagedByValue,
	}
}
