package resources

import (
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"

	"github.com/logpipeline/logpipeline/api/v1alpha1"
)

// configKey is the key of the ConfigMap, and the name of the file in the pods.
const configKey = "config.yaml"

// configMap holds the configuration of both roles.
func configMap(p *v1alpha1.LogPipeline, document []byte) *corev1ac.ConfigMapApplyConfiguration {
	return corev1ac.ConfigMap(SharedName(p), p.Namespace).
		WithLabels(sharedLabels(p)).
		WithOwnerReferences(ownerReference(p)).
		WithData(map[string]string{configKey: string(document)})
}

// serviceAccount has no rights and gives its pods no token: the data path
// never talks to the API server.
func serviceAccount(p *v1alpha1.LogPipeline) *corev1ac.ServiceAccountApplyConfiguration {
	return corev1ac.ServiceAccount(SharedName(p), p.Namespace).
		WithLabels(sharedLabels(p)).
		WithOwnerReferences(ownerReference(p)).
		WithAutomountServiceAccountToken(false)
}
