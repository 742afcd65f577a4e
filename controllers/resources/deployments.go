package resources

import (
	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	appsv1ac "k8s.io/client-go/applyconfigurations/apps/v1"
	metav1ac "k8s.io/client-go/applyconfigurations/meta/v1"
)

// keptRevisions of a Deployment are enough to look back; each is an object.
const keptRevisions = 3

func deployment(in Input, r role, checksum string) *appsv1ac.DeploymentApplyConfiguration {
	p := in.Pipeline
	spec := appsv1ac.DeploymentSpec().
		WithSelector(metav1ac.LabelSelector().WithMatchLabels(selectorLabels(p, r))).
		WithStrategy(r.strategy).
		WithRevisionHistoryLimit(keptRevisions).
		WithTemplate(podTemplate(in, r, checksum))
	if r.replicas != nil {
		spec.WithReplicas(*r.replicas)
	}
	return appsv1ac.Deployment(r.object, p.Namespace).
		WithLabels(labels(p, r)).
		WithAnnotations(origin(in)).
		WithOwnerReferences(ownerReference(p)).
		WithSpec(spec)
}

func rolling(maxUnavailable, maxSurge int32) *appsv1ac.DeploymentStrategyApplyConfiguration {
	return appsv1ac.DeploymentStrategy().
		WithType(appsv1.RollingUpdateDeploymentStrategyType).
		WithRollingUpdate(appsv1ac.RollingUpdateDeployment().
			WithMaxUnavailable(intstr.FromInt32(maxUnavailable)).
			WithMaxSurge(intstr.FromInt32(maxSurge)))
}

func recreate() *appsv1ac.DeploymentStrategyApplyConfiguration {
	return appsv1ac.DeploymentStrategy().WithType(appsv1.RecreateDeploymentStrategyType)
}
