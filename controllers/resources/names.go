package resources

import (
	"fmt"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/logpipeline/logpipeline/api/v1alpha1"
)

// Every name of a child is made here, from the pipeline's name and a suffix.
// No suffix ends with another one of the same kind of object, so two
// pipelines of one namespace never meet. The pipeline's name has at most 45
// characters: with a suffix it fits a Service (63).
const (
	ingesterSuffix = "-ingester"
	consumerSuffix = "-consumer"
	tlsSuffix      = "-tls"
)

// IngesterName is the name of every object of the ingesters.
func IngesterName(p *v1alpha1.LogPipeline) string { return p.Name + ingesterSuffix }

// ConsumerName is the name of every object of the consumers.
func ConsumerName(p *v1alpha1.LogPipeline) string { return p.Name + consumerSuffix }

// TopicName is spec.topic.name, or <namespace>.<name>.
func TopicName(p *v1alpha1.LogPipeline) string {
	if p.Spec.Topic.Name != "" {
		return p.Spec.Topic.Name
	}
	return p.Namespace + "." + p.Name
}

// DeadLetterTopicName is spec.deadLetter.topic.name, or <topic>.dead-letter;
// empty where there is no topic for dead letters.
func DeadLetterTopicName(p *v1alpha1.LogPipeline) string {
	switch topic := p.Spec.DeadLetter.Topic; {
	case topic == nil:
		return ""
	case topic.Name != "":
		return topic.Name
	default:
		return TopicName(p) + ".dead-letter"
	}
}

// Endpoint is the URL, within the cluster, at which the pods of a Deployment of
// ingesters take records: what the spec says is not so before they are applied.
func Endpoint(ingester *appsv1.Deployment) string {
	scheme := "http"
	if slices.ContainsFunc(ingester.Spec.Template.Spec.Volumes, func(v corev1.Volume) bool { return v.Name == tlsVolume }) {
		scheme = "https"
	}
	return fmt.Sprintf("%s://%s.%s.svc:%d/logs", scheme, ingester.Name, ingester.Namespace, ingestPort)
}

func scheme(p *v1alpha1.LogPipeline) string {
	if p.Spec.Ingester.TLS != nil {
		return "https"
	}
	return "http"
}

// ManagedByLabel and ManagedByValue mark every child.
const (
	ManagedByLabel = "app.kubernetes.io/managed-by"
	ManagedByValue = "logpipeline-operator"
)

// selectorLabels pick the pods of one role of one pipeline. They cannot be
// changed once a Deployment exists.
func selectorLabels(p *v1alpha1.LogPipeline, r role) map[string]string {
	return map[string]string{
		"app.kubernetes.io/name":      "logpipeline",
		"app.kubernetes.io/instance":  p.Name,
		"app.kubernetes.io/component": r.component,
	}
}

func labels(p *v1alpha1.LogPipeline, r role) map[string]string {
	labels := selectorLabels(p, r)
	labels[ManagedByLabel] = ManagedByValue
	return labels
}
