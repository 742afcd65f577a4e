package resources

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	appsv1ac "k8s.io/client-go/applyconfigurations/apps/v1"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"
	metav1ac "k8s.io/client-go/applyconfigurations/meta/v1"

	appsv1 "k8s.io/api/apps/v1"

	"github.com/logpipeline/logpipeline/api/v1alpha1"
)

// Pods of a role whose scaling is left out.
const (
	defaultIngesters = 2
	defaultConsumers = 1
)

// ingester takes records by HTTP. A rollout never has fewer of them than
// asked for.
func ingester(in Input, checksum string) *appsv1ac.DeploymentApplyConfiguration {
	spec := in.Pipeline.Spec.Ingester
	return deployment(in.Pipeline, role{
		name:      ingesterRole,
		object:    IngesterName(in.Pipeline),
		command:   "serve",
		replicas:  replicas(in.Pipeline, spec.Scaling, defaultIngesters),
		rollout:   rollout(0, 1),
		resources: containerResources(spec.Pod.Resources, ingesterMemory(in.Config)),
		ports:     []*corev1ac.ContainerPortApplyConfiguration{port(ingestPortName, ingestPort)},
		data:      scratchVolume(in.Config),
	}, in, checksum)
}

// consumer stores records. A rollout never has more of them than asked for:
// the old pod seals and leaves before the new one takes its partitions, and a
// volume that one node alone can mount is free by then.
func consumer(in Input, checksum string) *appsv1ac.DeploymentApplyConfiguration {
	spec := in.Pipeline.Spec.Consumer
	return deployment(in.Pipeline, role{
		name:      consumerRole,
		object:    ConsumerName(in.Pipeline),
		command:   "consume",
		replicas:  replicas(in.Pipeline, spec.Scaling, defaultConsumers),
		rollout:   rollout(1, 0),
		resources: containerResources(spec.Pod.Resources, consumerMemory(in.Config, in.Partitions)),
		data:      dataVolume(in.Pipeline.Spec.Storage),
	}, in, checksum)
}

// role is what tells ingesters and consumers apart.
type role struct {
	name      string
	object    string
	command   string
	replicas  int32
	rollout   *appsv1ac.RollingUpdateDeploymentApplyConfiguration
	resources corev1.ResourceRequirements
	ports     []*corev1ac.ContainerPortApplyConfiguration
	data      *corev1ac.VolumeApplyConfiguration
}

func deployment(p *v1alpha1.LogPipeline, r role, in Input, checksum string) *appsv1ac.DeploymentApplyConfiguration {
	return appsv1ac.Deployment(r.object, p.Namespace).
		WithLabels(roleLabels(p, r.name)).
		WithOwnerReferences(ownerReference(p)).
		WithSpec(appsv1ac.DeploymentSpec().
			WithReplicas(r.replicas).
			WithSelector(metav1ac.LabelSelector().WithMatchLabels(selectorLabels(p, r.name))).
			WithStrategy(appsv1ac.DeploymentStrategy().
				WithType(appsv1.RollingUpdateDeploymentStrategyType).
				WithRollingUpdate(r.rollout)).
			WithTemplate(podTemplate(p, r, in, checksum)))
}

func rollout(maxUnavailable, maxSurge int32) *appsv1ac.RollingUpdateDeploymentApplyConfiguration {
	return appsv1ac.RollingUpdateDeployment().
		WithMaxUnavailable(intstr.FromInt32(maxUnavailable)).
		WithMaxSurge(intstr.FromInt32(maxSurge))
}

// replicas that are wanted: none while the pipeline is suspended.
func replicas(p *v1alpha1.LogPipeline, scaling *v1alpha1.ScalingSpec, otherwise int32) int32 {
	switch {
	case p.Spec.Suspend:
		return 0
	case scaling != nil && scaling.Fixed != nil:
		return scaling.Fixed.Replicas
	default:
		return otherwise
	}
}
