package controllers

import (
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/logpipeline/logpipeline/api/v1alpha1"
	"github.com/logpipeline/logpipeline/controllers/metricsapi"
	"github.com/logpipeline/logpipeline/controllers/resources"
	"github.com/logpipeline/logpipeline/controllers/scaling/lag"
)

// scaledSeen is a pipeline whose autoscalers get their numbers from this
// operator.
func scaledSeen() autoscalingSeen {
	p := newPipeline("logs", []string{"kafka:9092"})
	p.Spec.Ingester.Scaling = &v1alpha1.IngesterScalingSpec{Auto: &v1alpha1.IngesterAutoScaling{MaxReplicas: 10}}
	p.Spec.Consumer.Scaling = &v1alpha1.ConsumerScalingSpec{Auto: &v1alpha1.ConsumerAutoScaling{MaxReplicas: 20}}
	return autoscalingSeen{
		pipeline: p, partitions: 12, server: resources.Server{ScaleToZero: true, Tolerance: true},
		ingester: newAutoscaler("orders-ingester", 10, said(autoscalingv2.ScalingActive, true, "ValidMetricFound")),
		consumer: newAutoscaler("orders-consumer", 12, said(autoscalingv2.ScalingActive, true, "ValidMetricFound")),
		owner:    metricsapi.Owner{Ownership: metricsapi.Ours, Service: "logpipeline-system/logpipeline-operator"},
	}
}

func newAutoscaler(name string, most int32, conditions ...autoscalingv2.HorizontalPodAutoscalerCondition) *autoscalingv2.HorizontalPodAutoscaler {
	return &autoscalingv2.HorizontalPodAutoscaler{
		ObjectMeta: metav1.ObjectMeta{Namespace: "logs", Name: name},
		Spec:       autoscalingv2.HorizontalPodAutoscalerSpec{MaxReplicas: most},
		Status:     autoscalingv2.HorizontalPodAutoscalerStatus{Conditions: conditions},
	}
}

func said(kind autoscalingv2.HorizontalPodAutoscalerConditionType, yes bool, reason string) autoscalingv2.HorizontalPodAutoscalerCondition {
	status := corev1.ConditionFalse
	if yes {
		status = corev1.ConditionTrue
	}
	return autoscalingv2.HorizontalPodAutoscalerCondition{Type: kind, Status: status, Reason: reason}
}

func TestAutoscalingActive(t *testing.T) {
	const t1, f, u = metav1.ConditionTrue, metav1.ConditionFalse, metav1.ConditionUnknown
	noNumbers := said(autoscalingv2.ScalingActive, false, "FailedGetExternalMetric")
	other := metricsapi.Owner{Ownership: metricsapi.Other, Service: "keda/keda-operator-metrics-apiserver"}
	tests := map[string]struct {
		change  func(*autoscalingSeen)
		status  metav1.ConditionStatus
		reason  string
		message string
	}{
		"all is well": {
			func(*autoscalingSeen) {},
			t1, v1alpha1.ReasonScaling, `scaled by HorizontalPodAutoscaler "orders-ingester" and "orders-consumer"`,
		},
		"the autoscalers have not been looked at yet": {
			func(s *autoscalingSeen) {
				s.ingester.Status, s.consumer.Status = autoscalingv2.HorizontalPodAutoscalerStatus{}, autoscalingv2.HorizontalPodAutoscalerStatus{}
			},
			t1, v1alpha1.ReasonScaling, `scaled by HorizontalPodAutoscaler "orders-ingester" and "orders-consumer"`,
		},
		"one of them alone": {
			func(s *autoscalingSeen) { s.pipeline.Spec.Ingester.Scaling = nil },
			t1, v1alpha1.ReasonScaling, `scaled by HorizontalPodAutoscaler "orders-consumer"`,
		},
		"not created yet": {
			func(s *autoscalingSeen) { s.consumer = nil },
			u, v1alpha1.ReasonNotChecked, `HorizontalPodAutoscaler "orders-consumer" does not exist yet`,
		},
		"suspended": {
			func(s *autoscalingSeen) { s.pipeline.Spec.Suspend, s.ingester, s.consumer = true, nil, nil },
			u, v1alpha1.ReasonSuspended, suspendedMessage,
		},
		"another product serves external metrics": {
			func(s *autoscalingSeen) { s.owner, s.consumer.Status.Conditions = other, nil },
			f, v1alpha1.ReasonMetricsAPIOwnedByOther, "APIService v1beta1.external.metrics.k8s.io points at Service keda/keda-operator-metrics-apiserver, and a cluster has one: have that one serve this operator's metrics from Prometheus (docs/autoscaling.md has rules for prometheus-adapter), or set scaling.fixed, or scaling.external with an autoscaler of your own",
		},
		"another product serves our metrics": {
			func(s *autoscalingSeen) { s.owner = other },
			t1, v1alpha1.ReasonScaling, `scaled by HorizontalPodAutoscaler "orders-ingester" and "orders-consumer"`,
		},
		"nobody serves external metrics": {
			func(s *autoscalingSeen) {
				s.owner, s.consumer.Status.Conditions = metricsapi.Owner{Ownership: metricsapi.Absent}, []autoscalingv2.HorizontalPodAutoscalerCondition{noNumbers}
			},
			f, v1alpha1.ReasonMetricsUnavailable, "there is no APIService v1beta1.external.metrics.k8s.io: install the operator with metricsAPI.enabled, or set scaling.fixed",
		},
		"the API server doesn't reach the operator": {
			func(s *autoscalingSeen) {
				s.owner.Unavailable, s.ingester.Status.Conditions = "FailedDiscoveryCheck: no route to host", []autoscalingv2.HorizontalPodAutoscalerCondition{noNumbers}
			},
			f, v1alpha1.ReasonMetricsUnavailable, "the API server cannot reach this operator's metrics: kubectl get apiservice v1beta1.external.metrics.k8s.io -o yaml says why",
		},
		"who serves them may not be asked for": {
			func(s *autoscalingSeen) { s.owner = metricsapi.Owner{} },
			t1, v1alpha1.ReasonScaling, `scaled by HorizontalPodAutoscaler "orders-ingester" and "orders-consumer"`,
		},
		"no metrics server": {
			func(s *autoscalingSeen) { s.resourceMetrics = errors.New("nobody serves metrics.k8s.io/v1beta1") },
			f, v1alpha1.ReasonResourceMetricsMissing, "nobody serves metrics.k8s.io/v1beta1, and targetCPUPercent is set, so no pod is taken away: install a metrics server, or take targetCPUPercent out",
		},
		"no ingester tells": {
			func(s *autoscalingSeen) {
				s.ingester.Status.Conditions, s.queue = []autoscalingv2.HorizontalPodAutoscalerCondition{noNumbers}, errors.New("no ingester is ready")
			},
			f, v1alpha1.ReasonMetricsUnavailable, `HorizontalPodAutoscaler "orders-ingester" gets no numbers (FailedGetExternalMetric): the ingesters do not tell what their queues hold; pods stay as they are: kubectl describe hpa -n logs orders-ingester says more`,
		},
		"Kafka doesn't tell": {
			func(s *autoscalingSeen) {
				s.consumer.Status.Conditions = []autoscalingv2.HorizontalPodAutoscalerCondition{noNumbers}
				s.lag = fmt.Errorf("unknown for 3m0s: %w", &lag.Error{Reason: lag.TopicRecreated, Err: errors.New("topic has another id")})
			},
			f, v1alpha1.ReasonMetricsUnavailable, `HorizontalPodAutoscaler "orders-consumer" gets no numbers (FailedGetExternalMetric): the operator does not know the lag (Kafka: TopicRecreated); pods stay as they are: kubectl describe hpa -n logs orders-consumer says more`,
		},
		"somebody scaled to zero": {
			func(s *autoscalingSeen) {
				s.consumer.Status.Conditions = []autoscalingv2.HorizontalPodAutoscalerCondition{said(autoscalingv2.ScalingActive, false, "ScalingDisabled")}
			},
			f, v1alpha1.ReasonMetricsUnavailable, `Deployment "orders-consumer" was scaled to 0 by somebody else than its HorizontalPodAutoscaler, which then rests: kubectl scale -n logs deployment orders-consumer --replicas=1`,
		},
		"the Deployment can't be changed": {
			func(s *autoscalingSeen) {
				s.consumer.Status.Conditions = append(s.consumer.Status.Conditions, said(autoscalingv2.AbleToScale, false, "FailedUpdateScale"))
			},
			f, v1alpha1.ReasonScaleFailed, `HorizontalPodAutoscaler "orders-consumer" cannot change its Deployment (FailedUpdateScale): kubectl describe hpa -n logs orders-consumer says why`,
		},
		"more consumers wanted than partitions": {
			func(s *autoscalingSeen) {
				s.consumer.Status.Conditions = append(s.consumer.Status.Conditions, said(autoscalingv2.ScalingLimited, true, "TooManyReplicas"))
			},
			t1, v1alpha1.ReasonPartitionsExhausted, `more consumers are wanted than topic "logs.orders" has partitions, 12: raise topic.partitions`,
		},
		"more consumers wanted than partitions, which are as many as are allowed": {
			func(s *autoscalingSeen) {
				s.pipeline.Spec.Consumer.Scaling.Auto.MaxReplicas = 12
				s.consumer.Status.Conditions = append(s.consumer.Status.Conditions, said(autoscalingv2.ScalingLimited, true, "TooManyReplicas"))
			},
			t1, v1alpha1.ReasonPartitionsExhausted, `more consumers are wanted than topic "logs.orders" has partitions, 12: raise topic.partitions and consumer.scaling.auto.maxReplicas`,
		},
		"more consumers wanted than allowed, of partitions there are enough": {
			func(s *autoscalingSeen) {
				s.pipeline.Spec.Consumer.Scaling.Auto.MaxReplicas, s.consumer.Spec.MaxReplicas = 4, 4
				s.consumer.Status.Conditions = append(s.consumer.Status.Conditions, said(autoscalingv2.ScalingLimited, true, "TooManyReplicas"))
			},
			t1, v1alpha1.ReasonScaling, `scaled by HorizontalPodAutoscaler "orders-ingester" and "orders-consumer"`,
		},
		"to zero where the server doesn't take it": {
			func(s *autoscalingSeen) {
				s.pipeline.Spec.Consumer.Scaling.Auto.MinReplicas, s.server = ptr.To[int32](0), resources.Server{}
			},
			t1, v1alpha1.ReasonScaleToZeroUnsupported, "consumer.scaling.auto.minReplicas is 0, which this API server takes in no HorizontalPodAutoscaler (from Kubernetes 1.37 on they do): it counts as 1",
		},
		"to zero": {
			func(s *autoscalingSeen) { s.pipeline.Spec.Consumer.Scaling.Auto.MinReplicas = ptr.To[int32](0) },
			t1, v1alpha1.ReasonScaling, `scaled by HorizontalPodAutoscaler "orders-ingester" and "orders-consumer"`,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			seen := scaledSeen()
			test.change(&seen)
			got, wanted := autoscalingActive(seen)
			want := metav1.Condition{Type: v1alpha1.ConditionAutoscalingActive, Status: test.status, Reason: test.reason, Message: test.message}
			if diff := cmp.Diff(want, got); diff != "" || !wanted {
				t.Errorf("wanted %v, -want +got\n%s", wanted, diff)
			}
		})
	}
}

func TestAutoscalingIsAbsentWhereNothingIsScaled(t *testing.T) {
	seen := scaledSeen()
	seen.pipeline.Spec.Ingester.Scaling = nil
	seen.pipeline.Spec.Consumer.Scaling = &v1alpha1.ConsumerScalingSpec{Fixed: &v1alpha1.FixedScaling{Replicas: 3}}
	if c, wanted := autoscalingActive(seen); wanted {
		t.Errorf("got %+v", c)
	}
	if c, wanted := autoscalingActive(autoscalingSeen{}); wanted {
		t.Errorf("of what was not seen: %+v", c)
	}
}
