package resources

import (
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"
	metav1ac "k8s.io/client-go/applyconfigurations/meta/v1"
	policyv1ac "k8s.io/client-go/applyconfigurations/policy/v1"

	"github.com/logpipeline/logpipeline/api/v1alpha1"
)

// configKey is the key of the ConfigMaps, and the name of the file in the pods.
const configKey = "config.yaml"

// configMap holds the configuration of one role: a change that concerns the
// other one alone restarts no pod of this one.
func configMap(p *v1alpha1.LogPipeline, r role, document []byte) *corev1ac.ConfigMapApplyConfiguration {
	return corev1ac.ConfigMap(r.object, p.Namespace).
		WithLabels(labels(p, r)).
		WithOwnerReferences(ownerReference(p)).
		WithData(map[string]string{configKey: string(document)})
}

// serviceAccount has no rights and gives its pods no token: the data path
// never talks to the API server. There is one for each role, so that those
// whom everybody can reach have no rights in a cloud's stores.
func serviceAccount(p *v1alpha1.LogPipeline, r role) *corev1ac.ServiceAccountApplyConfiguration {
	account := corev1ac.ServiceAccount(r.object, p.Namespace).
		WithLabels(labels(p, r)).
		WithOwnerReferences(ownerReference(p)).
		WithAutomountServiceAccountToken(false)
	for _, annotations := range []map[string]v1alpha1.AnnotationValue{r.identity, r.pod.ServiceAccountAnnotations} {
		if len(annotations) > 0 {
			account.WithAnnotations(plain(annotations))
		}
	}
	return account
}

// disruptionBudget lets a drain of nodes take one pod at a time. It never
// holds a drain up for ever: a single pod may go, and one that is not ready
// may as well.
func disruptionBudget(p *v1alpha1.LogPipeline, r role) *policyv1ac.PodDisruptionBudgetApplyConfiguration {
	return policyv1ac.PodDisruptionBudget(r.object, p.Namespace).
		WithLabels(labels(p, r)).
		WithOwnerReferences(ownerReference(p)).
		WithSpec(policyv1ac.PodDisruptionBudgetSpec().
			WithMaxUnavailable(intstr.FromInt32(1)).
			WithUnhealthyPodEvictionPolicy(policyv1.AlwaysAllow).
			WithSelector(metav1ac.LabelSelector().WithMatchLabels(selectorLabels(p, r))))
}

// plain is a map of the API as one of strings.
func plain[V ~string](values map[string]V) map[string]string {
	strings := make(map[string]string, len(values))
	for key, value := range values {
		strings[key] = string(value)
	}
	return strings
}
