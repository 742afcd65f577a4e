package controllers

import (
	"errors"
	"fmt"
	"strings"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/logpipeline/logpipeline/api/v1alpha1"
	"github.com/logpipeline/logpipeline/controllers/metricsapi"
	"github.com/logpipeline/logpipeline/controllers/resources"
	"github.com/logpipeline/logpipeline/controllers/scaling/lag"
)

// autoscalingSeen is what scales a pipeline.
type autoscalingSeen struct {
	pipeline   *v1alpha1.LogPipeline
	partitions int32
	// ingester and consumer are nil while there is none.
	ingester, consumer *autoscalingv2.HorizontalPodAutoscaler
	server             resources.Server
	// owner has no Ownership where that is not known.
	owner metricsapi.Owner
	// resourceMetrics is why the CPU of pods is not told.
	resourceMetrics error
	// queue and lag are why the operator doesn't know them; nil when it does.
	queue, lag error
}

// autoscalingActive tells whether what is to be scaled is; wanted is false
// where nothing is to be. It is pure. Its messages hold no numbers that move by
// themselves, for each change of a message is a write.
func autoscalingActive(s autoscalingSeen) (c metav1.Condition, wanted bool) {
	const t = v1alpha1.ConditionAutoscalingActive
	if s.pipeline == nil || !autoscaled(s.pipeline) {
		return metav1.Condition{}, false
	}
	if s.pipeline.Spec.Suspend {
		return condition(t, metav1.ConditionUnknown, v1alpha1.ReasonSuspended, suspendedMessage), true
	}
	if missing := s.missing(); missing != "" {
		return condition(t, metav1.ConditionUnknown, v1alpha1.ReasonNotChecked,
			fmt.Sprintf("HorizontalPodAutoscaler %q does not exist yet", missing)), true
	}
	if reason, message := s.trouble(); reason != "" {
		return condition(t, metav1.ConditionFalse, reason, message), true
	}
	reason, message := s.limit()
	return condition(t, metav1.ConditionTrue, reason, message), true
}

// missing names an autoscaler that is wanted and does not exist.
func (s autoscalingSeen) missing() string {
	switch {
	case ingesterAuto(s.pipeline) != nil && s.ingester == nil:
		return resources.IngesterName(s.pipeline)
	case consumerAuto(s.pipeline) != nil && s.consumer == nil:
		return resources.ConsumerName(s.pipeline)
	default:
		return ""
	}
}

// trouble is why what is to be scaled is not, the cause of others first; the
// reason is empty without any.
func (s autoscalingSeen) trouble() (reason, message string) {
	if !s.proven() {
		if reason, message := s.ownerTrouble(); reason != "" {
			return reason, message
		}
	}
	if s.resourceMetrics != nil {
		return v1alpha1.ReasonResourceMetricsMissing, fmt.Sprintf(
			"%v, and targetCPUPercent is set, so no pod is taken away: install a metrics server, or take targetCPUPercent out", s.resourceMetrics)
	}
	for _, each := range s.autoscalers() {
		if c := find(each, autoscalingv2.ScalingActive); c != nil && c.Status == corev1.ConditionFalse {
			return v1alpha1.ReasonMetricsUnavailable, s.withoutNumbers(each, c.Reason)
		}
		if c := find(each, autoscalingv2.AbleToScale); c != nil && c.Status == corev1.ConditionFalse {
			return v1alpha1.ReasonScaleFailed, fmt.Sprintf(
				"HorizontalPodAutoscaler %q cannot change its Deployment (%s): kubectl describe hpa -n %s %s says why", each.Name, c.Reason, each.Namespace, each.Name)
		}
	}
	return "", ""
}

// proven tells whether all autoscalers get numbers, whoever serves them.
func (s autoscalingSeen) proven() bool {
	for _, each := range s.autoscalers() {
		if c := find(each, autoscalingv2.ScalingActive); c == nil || c.Status != corev1.ConditionTrue {
			return false
		}
	}
	return true
}

func (s autoscalingSeen) ownerTrouble() (reason, message string) {
	switch {
	case s.owner.Ownership == metricsapi.Other:
		return v1alpha1.ReasonMetricsAPIOwnedByOther, fmt.Sprintf(
			"APIService %s points at %s, and a cluster has one: have that one serve this operator's metrics from Prometheus (docs/autoscaling.md has rules for prometheus-adapter), or set scaling.fixed, or scaling.external with an autoscaler of your own",
			metricsapi.APIServiceName, s.ownerName())
	case s.owner.Ownership == metricsapi.Absent:
		return v1alpha1.ReasonMetricsUnavailable, fmt.Sprintf(
			"there is no APIService %s: install the operator with metricsAPI.enabled, or set scaling.fixed", metricsapi.APIServiceName)
	case s.owner.Unavailable != "":
		return v1alpha1.ReasonMetricsUnavailable, fmt.Sprintf(
			"the API server cannot reach this operator's metrics: kubectl get apiservice %s -o yaml says why", metricsapi.APIServiceName)
	default:
		return "", ""
	}
}

func (s autoscalingSeen) ownerName() string {
	if s.owner.Service == "" {
		return "no Service"
	}
	return "Service " + s.owner.Service
}

// withoutNumbers says why an autoscaler has none, as far as the operator knows.
func (s autoscalingSeen) withoutNumbers(a *autoscalingv2.HorizontalPodAutoscaler, said string) string {
	why := ""
	switch {
	case said == "ScalingDisabled":
		return fmt.Sprintf("Deployment %q was scaled to 0 by somebody else than its HorizontalPodAutoscaler, which then rests: kubectl scale -n %s deployment %s --replicas=1", a.Name, a.Namespace, a.Name)
	case a == s.ingester && s.queue != nil:
		why = ": the ingesters do not tell what their queues hold"
	case a == s.consumer && s.lag != nil:
		why = ": the operator does not know the lag"
		if e, known := errors.AsType[*lag.Error](s.lag); known {
			why += fmt.Sprintf(" (Kafka: %s)", e.Reason)
		}
	}
	return fmt.Sprintf("HorizontalPodAutoscaler %q gets no numbers (%s)%s; pods stay as they are: kubectl describe hpa -n %s %s says more", a.Name, said, why, a.Namespace, a.Name)
}

// limit is what keeps scaling from what was asked for, or that nothing does.
func (s autoscalingSeen) limit() (reason, message string) {
	auto := consumerAuto(s.pipeline)
	switch {
	case auto != nil && s.exhausted():
		return v1alpha1.ReasonPartitionsExhausted, fmt.Sprintf(
			"more consumers are wanted than topic %q has partitions, %d: raise topic.partitions%s",
			resources.TopicName(s.pipeline), s.partitions, alsoRaise(auto.MaxReplicas, s.partitions))
	case auto != nil && auto.MinReplicas != nil && *auto.MinReplicas == 0 && !s.server.ScaleToZero:
		return v1alpha1.ReasonScaleToZeroUnsupported,
			"consumer.scaling.auto.minReplicas is 0, which this API server takes in no HorizontalPodAutoscaler (from Kubernetes 1.37 on they do): it counts as 1"
	default:
		var names []string
		for _, each := range s.autoscalers() {
			names = append(names, fmt.Sprintf("%q", each.Name))
		}
		return v1alpha1.ReasonScaling, "scaled by HorizontalPodAutoscaler " + strings.Join(names, " and ")
	}
}

func alsoRaise(maxReplicas, partitions int32) string {
	if maxReplicas > partitions {
		return ""
	}
	return " and consumer.scaling.auto.maxReplicas"
}

// exhausted tells whether the partitions are what keeps the consumers from
// becoming more.
func (s autoscalingSeen) exhausted() bool {
	c := find(s.consumer, autoscalingv2.ScalingLimited)
	return s.partitions > 0 && s.consumer.Spec.MaxReplicas >= s.partitions &&
		c != nil && c.Status == corev1.ConditionTrue && c.Reason == "TooManyReplicas"
}

func (s autoscalingSeen) autoscalers() []*autoscalingv2.HorizontalPodAutoscaler {
	var wanted []*autoscalingv2.HorizontalPodAutoscaler
	if ingesterAuto(s.pipeline) != nil {
		wanted = append(wanted, s.ingester)
	}
	if consumerAuto(s.pipeline) != nil {
		wanted = append(wanted, s.consumer)
	}
	return wanted
}

func find(a *autoscalingv2.HorizontalPodAutoscaler, kind autoscalingv2.HorizontalPodAutoscalerConditionType) *autoscalingv2.HorizontalPodAutoscalerCondition {
	for i := range a.Status.Conditions {
		if a.Status.Conditions[i].Type == kind {
			return &a.Status.Conditions[i]
		}
	}
	return nil
}
