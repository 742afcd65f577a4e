package controllers

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/discovery"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/predicate"

	"github.com/logpipeline/logpipeline/api/v1alpha1"
	"github.com/logpipeline/logpipeline/controllers/metricsapi"
	"github.com/logpipeline/logpipeline/controllers/resources"
	"github.com/logpipeline/logpipeline/controllers/scaling"
)

// Autoscaling knows what pipelines are scaled by: what the API server takes,
// who serves metrics, and what they say. It is safe for concurrent use.
type Autoscaling struct {
	client    client.Client
	live      client.Reader
	discovery discovery.ServerResourcesInterface
	store     *scaling.Store
	service   types.NamespacedName
	now       func() time.Time

	// What is the same for all pipelines is asked for once in a while.
	server          remembered[resources.Server]
	owner           remembered[metricsapi.Owner]
	resourceMetrics remembered[error]
}

// NewAutoscaling returns what knows by a manager's clients and a collector's
// store. The Service is that of this operator's metrics API.
func NewAutoscaling(mgr ctrl.Manager, store *scaling.Store, service types.NamespacedName) (*Autoscaling, error) {
	discovery, err := discovery.NewDiscoveryClientForConfigAndClient(mgr.GetConfig(), mgr.GetHTTPClient())
	if err != nil {
		return nil, fmt.Errorf("create discovery client: %w", err)
	}
	return &Autoscaling{
		client: mgr.GetClient(), live: mgr.GetAPIReader(), discovery: discovery,
		store: store, service: service, now: time.Now,
	}, nil
}

// sampled is the name under which a store has a pipeline.
func sampled(p *v1alpha1.LogPipeline) scaling.Pipeline {
	return scaling.Pipeline{Namespace: p.Namespace, Name: p.Name}
}

// sample is what is known of a pipeline's load.
func (a *Autoscaling) sample(p *v1alpha1.LogPipeline) (sample scaling.Sample, found bool) {
	return a.store.Sample(sampled(p))
}

// troubleOf is what the consumers of a pipeline said last.
func (a *Autoscaling) troubleOf(p *v1alpha1.LogPipeline) scaling.Trouble {
	sample, _ := a.sample(p)
	return sample.Trouble
}

// How long what was asked for holds. An API server changes by an upgrade.
const (
	serverFor          = time.Hour
	ownerFor           = 30 * time.Second
	resourceMetricsFor = time.Minute
)

// remembered is an answer that holds for a while. The zero value has none.
type remembered[T any] struct {
	mutex sync.Mutex
	value T
	until time.Time
}

// get asks only when there is no answer any more, or none yet, and one caller
// at a time. An error is not remembered.
func (r *remembered[T]) get(now time.Time, lasts time.Duration, ask func() (T, error)) (T, error) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	if now.Before(r.until) {
		return r.value, nil
	}
	value, err := ask()
	if err == nil {
		r.value, r.until = value, now.Add(lasts)
	}
	return value, err
}

// Server is what the API server takes in the HorizontalPodAutoscalers of a
// pipeline. It is asked by a dry run, for feature gates decide, whatever the
// version is; a pipeline that has none asks nothing. The error is one that
// passes.
func (a *Autoscaling) Server(ctx context.Context, p *v1alpha1.LogPipeline) (resources.Server, error) {
	if !autoscaled(p) {
		return resources.Server{}, nil
	}
	return a.server.get(a.now(), serverFor, func() (resources.Server, error) { return a.askServer(ctx, p.Namespace) })
}

func autoscaled(p *v1alpha1.LogPipeline) bool {
	return ingesterAuto(p) != nil || consumerAuto(p) != nil
}

func (a *Autoscaling) askServer(ctx context.Context, namespace string) (resources.Server, error) {
	tried := trial(namespace, 0)
	err := a.client.Create(ctx, tried, client.DryRunAll)
	zero := err == nil
	if apierrors.IsInvalid(err) {
		tried = trial(namespace, 1)
		err = a.client.Create(ctx, tried, client.DryRunAll)
	}
	switch {
	case err == nil:
		return resources.Server{ScaleToZero: zero, Tolerance: tried.Spec.Behavior.ScaleUp.Tolerance != nil}, nil
	case apierrors.IsForbidden(err) || apierrors.IsInvalid(err):
		return resources.Server{}, nil // a quota or a policy: nothing special then
	default:
		return resources.Server{}, fmt.Errorf("ask what HorizontalPodAutoscalers may be: %w", err)
	}
}

// trial is an autoscaler with all that some API servers don't take.
func trial(namespace string, least int32) *autoscalingv2.HorizontalPodAutoscaler {
	one, zero := resource.MustParse("1"), resource.MustParse("0")
	return &autoscalingv2.HorizontalPodAutoscaler{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, GenerateName: "logpipeline-trial-"},
		Spec: autoscalingv2.HorizontalPodAutoscalerSpec{
			ScaleTargetRef: autoscalingv2.CrossVersionObjectReference{APIVersion: "apps/v1", Kind: "Deployment", Name: "logpipeline-trial"},
			MinReplicas:    &least,
			MaxReplicas:    1,
			Metrics: []autoscalingv2.MetricSpec{{
				Type: autoscalingv2.ExternalMetricSourceType,
				External: &autoscalingv2.ExternalMetricSource{
					Metric: autoscalingv2.MetricIdentifier{Name: scaling.LagRecordsMetric},
					Target: autoscalingv2.MetricTarget{Type: autoscalingv2.AverageValueMetricType, AverageValue: &one},
				},
			}},
			Behavior: &autoscalingv2.HorizontalPodAutoscalerBehavior{ScaleUp: &autoscalingv2.HPAScalingRules{Tolerance: &zero}},
		},
	}
}

// firstObserved is what an Observer would show of a pipeline, nil while that
// isn't known. What is written with the rest of the status needs no write of
// its own, of which the Observer has few: so many pipelines that come at once
// don't keep it busy for long.
func (a *Autoscaling) firstObserved(p *v1alpha1.LogPipeline) *v1alpha1.ObservedStatus {
	sample, found := a.sample(p)
	now := a.now()
	if !found || p.Spec.Suspend || sample.LagRecords.Known(now) != nil {
		return nil
	}
	return observedOf(sample, now)
}

// observe reads what scales a pipeline, whose topic has a number of partitions.
func (a *Autoscaling) observe(ctx context.Context, p *v1alpha1.LogPipeline, partitions int32) (seen autoscalingSeen, err error) {
	seen = autoscalingSeen{pipeline: p, partitions: partitions}
	if !autoscaled(p) || p.Spec.Suspend {
		return seen, nil
	}
	if seen.ingester, err = a.readAutoscaler(ctx, p, resources.IngesterName(p)); err != nil {
		return seen, err
	}
	if seen.consumer, err = a.readAutoscaler(ctx, p, resources.ConsumerName(p)); err != nil {
		return seen, err
	}
	if seen.server, err = a.Server(ctx, p); err != nil {
		return seen, err
	}
	// Who may not ask for that still sees what the autoscalers say.
	seen.owner, _ = a.owner.get(a.now(), ownerFor, func() (metricsapi.Owner, error) {
		return metricsapi.OwnerOf(ctx, a.live, a.service)
	})
	if asksForCPU(p) {
		seen.resourceMetrics, _ = a.resourceMetrics.get(a.now(), resourceMetricsFor, a.askResourceMetrics)
	}
	sample, _ := a.sample(p)
	seen.queue = sample.QueueBytes.Known(a.now())
	seen.lag = sample.LagRecords.Known(a.now())
	return seen, nil
}

func (a *Autoscaling) readAutoscaler(ctx context.Context, p *v1alpha1.LogPipeline, name string) (*autoscalingv2.HorizontalPodAutoscaler, error) {
	return readControlled[autoscalingv2.HorizontalPodAutoscaler](ctx, a.client, p, name)
}

func asksForCPU(p *v1alpha1.LogPipeline) bool {
	ingester, consumer := ingesterAuto(p), consumerAuto(p)
	return ingester != nil && ingester.TargetCPUPercent != nil || consumer != nil && consumer.TargetCPUPercent != nil
}

const resourceMetricsAPI = "metrics.k8s.io/v1beta1"

// askResourceMetrics returns why the CPU of pods is not told, as an answer to
// be remembered; nil when it is.
func (a *Autoscaling) askResourceMetrics() (missing, err error) {
	_, err = a.discovery.ServerResourcesForGroupVersion(resourceMetricsAPI)
	switch {
	case apierrors.IsNotFound(err):
		return fmt.Errorf("nobody serves %s", resourceMetricsAPI), nil
	case apierrors.IsServiceUnavailable(err):
		return fmt.Errorf("who serves %s does not answer", resourceMetricsAPI), nil
	default:
		return nil, err
	}
}

// autoscalerChanged passes what a reconcile is about: an autoscaler writes
// numbers into its status every 15 seconds, and they are not.
var autoscalerChanged = predicate.Funcs{UpdateFunc: func(e event.UpdateEvent) bool {
	before, ok := e.ObjectOld.(*autoscalingv2.HorizontalPodAutoscaler)
	after, both := e.ObjectNew.(*autoscalingv2.HorizontalPodAutoscaler)
	if !ok || !both {
		return true
	}
	return !equality.Semantic.DeepEqual(before.Spec, after.Spec) ||
		!equality.Semantic.DeepEqual(before.OwnerReferences, after.OwnerReferences) ||
		before.DeletionTimestamp.IsZero() != after.DeletionTimestamp.IsZero() ||
		!slices.EqualFunc(before.Status.Conditions, after.Status.Conditions, sameState)
}}

func sameState(a, b autoscalingv2.HorizontalPodAutoscalerCondition) bool {
	return a.Type == b.Type && a.Status == b.Status && a.Reason == b.Reason
}
