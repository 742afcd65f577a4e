package resources

import (
	"encoding/json"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"
	metav1ac "k8s.io/client-go/applyconfigurations/meta/v1"

	"github.com/logpipeline/logpipeline/api/v1alpha1"
)

// schedule says where the pods of a role run: as the spec asks, and spread
// over zones and nodes where that is possible.
func schedule(pod *corev1ac.PodSpecApplyConfiguration, p *v1alpha1.LogPipeline, r role) {
	spec := r.pod.Scheduling
	pod.WithNodeSelector(plain(spec.NodeSelector))
	for _, toleration := range spec.Tolerations {
		pod.WithTolerations(applied[corev1ac.TolerationApplyConfiguration](toleration))
	}
	if spec.Affinity != nil {
		pod.WithAffinity(applied[corev1ac.AffinityApplyConfiguration](spec.Affinity))
	}
	if spec.PriorityClassName != "" {
		pod.WithPriorityClassName(spec.PriorityClassName)
	}
	for _, topology := range []string{corev1.LabelTopologyZone, corev1.LabelHostname} {
		pod.WithTopologySpreadConstraints(spread(p, r, topology))
	}
}

// spread counts the pods of one generation of the Deployment: those that a
// rollout takes away would otherwise be counted as well.
func spread(p *v1alpha1.LogPipeline, r role, topology string) *corev1ac.TopologySpreadConstraintApplyConfiguration {
	return corev1ac.TopologySpreadConstraint().
		WithMaxSkew(1).
		WithTopologyKey(topology).
		WithWhenUnsatisfiable(corev1.ScheduleAnyway).
		WithLabelSelector(metav1ac.LabelSelector().WithMatchLabels(selectorLabels(p, r))).
		WithMatchLabelKeys("pod-template-hash")
}

// applied is a value of one of Kubernetes' own types as the apply
// configuration that is generated from that type: both have the same JSON.
func applied[C any](value any) *C {
	document, err := json.Marshal(value)
	configuration := new(C)
	if err == nil {
		err = json.Unmarshal(document, configuration)
	}
	if err != nil {
		panic(fmt.Sprintf("%T is not the apply configuration of %T: %v", configuration, value, err))
	}
	return configuration
}
