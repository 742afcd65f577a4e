package resources

import (
	corev1 "k8s.io/api/core/v1"
	appsv1ac "k8s.io/client-go/applyconfigurations/apps/v1"
	autoscalingv2ac "k8s.io/client-go/applyconfigurations/autoscaling/v2"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"

	"github.com/logpipeline/logpipeline/api/v1alpha1"
)

// role is what tells ingesters and consumers apart.
type role struct {
	object    string // the name of every object of the role
	component string // the value of the label app.kubernetes.io/component
	command   string // of the ingester binary
	pod       v1alpha1.PodSpec
	// replicas is nil where an autoscaler decides, which then begins with first.
	replicas     *int32
	first        int32
	autoscaler   *autoscalingv2ac.HorizontalPodAutoscalerApplyConfiguration
	strategy     *appsv1ac.DeploymentStrategyApplyConfiguration
	graceSeconds int64
	resources    corev1.ResourceRequirements
	ports        []*corev1ac.ContainerPortApplyConfiguration
	env          []*corev1ac.EnvVarApplyConfiguration
	data         *corev1ac.VolumeApplyConfiguration
	secrets      []mount
	// identity are annotations of the ServiceAccount beside the pod's.
	identity map[string]v1alpha1.AnnotationValue
}

// Pods of a role whose scaling is left out.
const (
	defaultIngesters = 2
	defaultConsumers = 1
)

// ingesterRole takes records by HTTP. A rollout never has fewer pods of it
// than asked for.
func ingesterRole(in Input) role {
	spec, c := in.Pipeline.Spec.Ingester, in.Configs.Ingester
	r := role{
		object:       IngesterName(in.Pipeline),
		component:    IngesterComponent,
		command:      "serve",
		pod:          spec.Pod,
		strategy:     rolling(0, 1),
		graceSeconds: int64(c.Drain.DelaySeconds) + int64(c.Drain.TimeoutSeconds) + drainSlackSeconds,
		resources:    containerResources(spec.Pod.Resources, ingesterMemory(c), ingesterDisk(c)),
		ports:        []*corev1ac.ContainerPortApplyConfiguration{port(ingestPortName, ingestPort)},
		data:         scratch(ingesterDisk(c)),
		secrets:      ingesterSecrets(in.Pipeline),
	}
	scaling := or(spec.Scaling, v1alpha1.IngesterScalingSpec{})
	if scaling.Auto != nil {
		r.autoscaler = ingesterAutoscaler(in, r, scaling.Auto)
	}
	r.replicas = replicas(in.Pipeline, 0, scaling.Fixed, scaling.Auto != nil || scaling.External != nil, defaultIngesters)
	r.first = first(r.autoscaler, defaultIngesters)
	return r
}

// consumerRole stores records. A rollout never has more pods of it than asked
// for: the old pod seals and leaves before the new one takes its partitions.
// Where one node alone can mount the storage, all old pods are gone before a
// new one comes, which may be placed elsewhere.
func consumerRole(in Input) role {
	spec, c := in.Pipeline.Spec.Consumer, in.Configs.Consumer
	r := role{
		object:       ConsumerName(in.Pipeline),
		component:    ConsumerComponent,
		command:      "consume",
		pod:          spec.Pod,
		strategy:     rolling(1, 0),
		graceSeconds: int64(c.Drain.TimeoutSeconds) + drainSlackSeconds,
		resources:    containerResources(spec.Pod.Resources, consumerMemory(c, in.Partitions), consumerDisk(in.Pipeline, c)),
		env:          objectStoreEnv(in.Pipeline.Spec.Storage.ObjectStore),
		data:         dataVolume(in.Pipeline.Spec.Storage, c),
		secrets:      consumerSecrets(in.Pipeline),
	}
	if in.SingleNode {
		r.strategy = recreate()
	}
	if store := in.Pipeline.Spec.Storage.ObjectStore; store != nil {
		r.identity = store.ServiceAccountAnnotations
	}
	scaling := or(spec.Scaling, v1alpha1.ConsumerScalingSpec{})
	if scaling.Auto != nil {
		r.autoscaler = consumerAutoscaler(in, r, scaling.Auto)
	}
	r.replicas = replicas(in.Pipeline, in.Draining, scaling.Fixed, scaling.Auto != nil || scaling.External != nil, defaultConsumers)
	r.first = first(r.autoscaler, defaultConsumers)
	return r
}

// first is how many pods there are until an autoscaler has said otherwise: the
// least of ours, but never 0, where it would rest.
func first(ours *autoscalingv2ac.HorizontalPodAutoscalerApplyConfiguration, otherwise int32) int32 {
	if ours == nil {
		return otherwise
	}
	return max(1, *ours.Spec.MinReplicas)
}

// replicas that are wanted: those draining while the pipeline is suspended, and nil
// where an autoscaler decides.
func replicas(p *v1alpha1.LogPipeline, draining int32, fixed *v1alpha1.FixedScaling, scaled bool, otherwise int32) *int32 {
	switch {
	case p.Spec.Suspend:
		otherwise = draining
	case scaled:
		return nil
	case fixed != nil:
		otherwise = fixed.Replicas
	}
	return &otherwise
}
