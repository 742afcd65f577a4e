package resources

import (
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	autoscalingv2ac "k8s.io/client-go/applyconfigurations/autoscaling/v2"
	metav1ac "k8s.io/client-go/applyconfigurations/meta/v1"

	"github.com/logpipeline/logpipeline/api/v1alpha1"
	"github.com/logpipeline/logpipeline/ingester/config"
)

// External metrics that the operator serves, in the namespace of the pipeline
// that PipelineLabel names.
const (
	MetricQueueBytes     = "logpipeline_ingester_queue_bytes"
	MetricLagRecords     = "logpipeline_consumer_lag_records"
	MetricWantedReplicas = "logpipeline_consumer_wanted_replicas"
	PipelineLabel        = "ingest.logpipeline.io/pipeline"
)

// What scaling does where the spec doesn't say.
const (
	defaultMinIngesters       = 2
	defaultMinConsumers       = 1
	defaultQueueTargetPercent = 50
	defaultDelaySeconds       = 60
	defaultStabilization      = 300 // seconds
)

// ingesterAutoscaler holds the queues at a share of their bound; nil while the
// pipeline is suspended.
func ingesterAutoscaler(in Input, r role, auto *v1alpha1.IngesterAutoScaling) *autoscalingv2ac.HorizontalPodAutoscalerApplyConfiguration {
	if in.Pipeline.Spec.Suspend {
		return nil
	}
	bytes := QueueTargetBytes(auto, in.Configs.Ingester)
	spec := autoscalingv2ac.HorizontalPodAutoscalerSpec().
		WithMinReplicas(min(or(auto.MinReplicas, defaultMinIngesters), auto.MaxReplicas)).
		WithMaxReplicas(auto.MaxReplicas).
		WithMetrics(external(in.Pipeline, MetricQueueBytes, resource.NewQuantity(bytes, resource.BinarySI))).
		WithMetrics(cpu(auto.TargetCPUPercent)...).
		WithBehavior(behavior(in.Server, auto.StabilizationWindowSeconds))
	return autoscaler(in.Pipeline, r, spec)
}

// consumerAutoscaler follows what is not yet stored; nil while the pipeline is
// suspended. More consumers than the topic has partitions would stand idle, so
// that is what bounds them, and not the metric: with the HPA's tolerance, 64
// partitions would then stick at 63 pods.
func consumerAutoscaler(in Input, r role, auto *v1alpha1.ConsumerAutoScaling) *autoscalingv2ac.HorizontalPodAutoscalerApplyConfiguration {
	if in.Pipeline.Spec.Suspend {
		return nil
	}
	most := auto.MaxReplicas
	if in.Partitions > 0 {
		most = min(most, in.Partitions)
	}
	least := min(or(auto.MinReplicas, defaultMinConsumers), most)
	if least == 0 && !in.Server.ScaleToZero {
		least = 1
	}
	spec := autoscalingv2ac.HorizontalPodAutoscalerSpec().
		WithMinReplicas(least).
		WithMaxReplicas(most).
		WithMetrics(consumerMetrics(in.Pipeline, ConsumerTargets(auto, in.Configs.Consumer))...).
		WithMetrics(cpu(auto.TargetCPUPercent)...).
		WithBehavior(behavior(in.Server, auto.StabilizationWindowSeconds))
	return autoscaler(in.Pipeline, r, spec)
}

// QueueTargetBytes is what the queue of one ingester shall hold on average.
func QueueTargetBytes(auto *v1alpha1.IngesterAutoScaling, c config.Config) int64 {
	return int64(c.Queue.MaxBytes) * int64(or(auto.QueueTargetPercent, defaultQueueTargetPercent)) / 100
}

// ConsumerTargets are the spec's, or a delay: a minute, and where segments are
// open for long, long enough for two of them.
func ConsumerTargets(auto *v1alpha1.ConsumerAutoScaling, c config.Config) []v1alpha1.ConsumerTarget {
	if len(auto.Targets) > 0 {
		return auto.Targets
	}
	seconds := max(defaultDelaySeconds, 2*int64(c.Segment.MaxAgeSeconds))
	return []v1alpha1.ConsumerTarget{{Type: v1alpha1.TargetDelaySeconds, Value: seconds}}
}

// consumerMetrics ask for pods in proportion to what they are told: the lag
// that each can have, or, for a delay, the number of pods itself, which the
// operator works out.
func consumerMetrics(p *v1alpha1.LogPipeline, targets []v1alpha1.ConsumerTarget) []*autoscalingv2ac.MetricSpecApplyConfiguration {
	var metrics []*autoscalingv2ac.MetricSpecApplyConfiguration
	for _, target := range targets {
		metric, value := MetricLagRecords, target.Value
		if target.Type == v1alpha1.TargetDelaySeconds {
			metric, value = MetricWantedReplicas, 1
		}
		metrics = append(metrics, external(p, metric, resource.NewQuantity(value, resource.DecimalSI)))
	}
	return metrics
}

func autoscaler(p *v1alpha1.LogPipeline, r role, spec *autoscalingv2ac.HorizontalPodAutoscalerSpecApplyConfiguration) *autoscalingv2ac.HorizontalPodAutoscalerApplyConfiguration {
	return autoscalingv2ac.HorizontalPodAutoscaler(r.object, p.Namespace).
		WithLabels(labels(p, r)).
		WithOwnerReferences(ownerReference(p)).
		WithSpec(spec.WithScaleTargetRef(autoscalingv2ac.CrossVersionObjectReference().
			WithAPIVersion(appsv1.SchemeGroupVersion.String()).
			WithKind("Deployment").
			WithName(r.object)))
}

func external(p *v1alpha1.LogPipeline, metric string, average *resource.Quantity) *autoscalingv2ac.MetricSpecApplyConfiguration {
	return autoscalingv2ac.MetricSpec().
		WithType(autoscalingv2.ExternalMetricSourceType).
		WithExternal(autoscalingv2ac.ExternalMetricSource().
			WithMetric(autoscalingv2ac.MetricIdentifier().
				WithName(metric).
				WithSelector(metav1ac.LabelSelector().WithMatchLabels(map[string]string{PipelineLabel: p.Name}))).
			WithTarget(autoscalingv2ac.MetricTarget().
				WithType(autoscalingv2.AverageValueMetricType).
				WithAverageValue(*average)))
}

func cpu(percent *int32) []*autoscalingv2ac.MetricSpecApplyConfiguration {
	if percent == nil {
		return nil
	}
	return []*autoscalingv2ac.MetricSpecApplyConfiguration{autoscalingv2ac.MetricSpec().
		WithType(autoscalingv2.ResourceMetricSourceType).
		WithResource(autoscalingv2ac.ResourceMetricSource().
			WithName(corev1.ResourceCPU).
			WithTarget(autoscalingv2ac.MetricTarget().
				WithType(autoscalingv2.UtilizationMetricType).
				WithAverageUtilization(*percent)))}
}

// behavior is fast up, and slow and damped down: a pod too many costs little,
// a pod that goes too early is one more rebalance. Up, every pod that is
// wanted counts, where the server takes a tolerance of 0: with the usual tenth,
// 10 pods would not become 11.
func behavior(server Server, stabilization *int32) *autoscalingv2ac.HorizontalPodAutoscalerBehaviorApplyConfiguration {
	up := autoscalingv2ac.HPAScalingRules().
		WithStabilizationWindowSeconds(0).
		WithSelectPolicy(autoscalingv2.MaxChangePolicySelect).
		WithPolicies(policy(autoscalingv2.PercentScalingPolicy, 100, 15), policy(autoscalingv2.PodsScalingPolicy, 4, 15))
	if server.Tolerance {
		up.WithTolerance(*resource.NewQuantity(0, resource.DecimalSI))
	}
	down := autoscalingv2ac.HPAScalingRules().
		WithStabilizationWindowSeconds(or(stabilization, defaultStabilization)).
		WithSelectPolicy(autoscalingv2.MaxChangePolicySelect).
		WithPolicies(policy(autoscalingv2.PercentScalingPolicy, 50, 60), policy(autoscalingv2.PodsScalingPolicy, 1, 60))
	return autoscalingv2ac.HorizontalPodAutoscalerBehavior().WithScaleUp(up).WithScaleDown(down)
}

func policy(kind autoscalingv2.HPAScalingPolicyType, value, seconds int32) *autoscalingv2ac.HPAScalingPolicyApplyConfiguration {
	return autoscalingv2ac.HPAScalingPolicy().WithType(kind).WithValue(value).WithPeriodSeconds(seconds)
}

func or[T any](value *T, otherwise T) T {
	if value != nil {
		return *value
	}
	return otherwise
}
