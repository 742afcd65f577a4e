package controllers

import (
	"context"
	"fmt"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/logpipeline/logpipeline/api/v1alpha1"
	"github.com/logpipeline/logpipeline/controllers/resources"
	"github.com/logpipeline/logpipeline/controllers/topics"
)

// ours are the labels of all that the operator makes, pods among it.
var ours = client.MatchingLabels{resources.ManagedByLabel: resources.ManagedByValue}

// CacheOptions keep in memory the pipelines and their children, of the given
// namespaces or, without any, of all. What others own is not cached.
func CacheOptions(namespaces []string) cache.Options {
	labelled := cache.ByObject{Label: labels.SelectorFromSet(labels.Set(ours))}
	options := cache.Options{ByObject: map[client.Object]cache.ByObject{
		&corev1.ConfigMap{}:                      labelled,
		&corev1.Service{}:                        labelled,
		&corev1.ServiceAccount{}:                 labelled,
		&appsv1.Deployment{}:                     labelled,
		&networkingv1.NetworkPolicy{}:            labelled,
		&policyv1.PodDisruptionBudget{}:          labelled,
		&autoscalingv2.HorizontalPodAutoscaler{}: labelled,
		&corev1.Pod{}:                            {Label: labelled.Label, Transform: slimPod},
	}}
	for _, namespace := range namespaces {
		if options.DefaultNamespaces == nil {
			options.DefaultNamespaces = map[string]cache.Config{}
		}
		options.DefaultNamespaces[namespace] = cache.Config{}
	}
	return options
}

// What keeps one pipeline that fails from holding up others.
const (
	// DefaultConcurrency is how many pipelines are reconciled at the same time.
	DefaultConcurrency = 8

	firstRetry   = 500 * time.Millisecond
	slowestRetry = time.Minute
)

// NewReconciler returns a reconciler on a manager's clients, whose pods run
// the image. The pool stays the caller's, to be closed when the manager has
// ended.
func NewReconciler(mgr ctrl.Manager, pool *topics.Pool, autoscaling *Autoscaling, image string) *Reconciler {
	return &Reconciler{
		Client:      mgr.GetClient(),
		Live:        mgr.GetAPIReader(),
		Topics:      pool,
		Autoscaling: autoscaling,
		Events:      loggedEvents{mgr.GetEventRecorder("logpipeline"), mgr.GetLogger().WithName("logpipeline")},
		Image:       image,
		Concurrency: DefaultConcurrency,
		Now:         time.Now,
		DrainWithin: DefaultDrainWithin,
		rollouts:    &rolloutTurns{},
		drains:      newDrains(),
	}
}

// SetupWithManager has the manager call Reconcile for every pipeline that is
// changed, or of which a child is, of which a pod begins or ceases to ail, or
// whose topic another one has had.
func (r *Reconciler) SetupWithManager(ctx context.Context, mgr ctrl.Manager) error {
	if err := indexTopics(ctx, mgr.GetFieldIndexer()); err != nil {
		return fmt.Errorf("index LogPipelines by topic: %w", err)
	}
	err := ctrl.NewControllerManagedBy(mgr).
		Named("logpipeline").
		For(&v1alpha1.LogPipeline{}, builder.WithPredicates(predicate.GenerationChangedPredicate{})). // not by our own status
		Owns(&appsv1.Deployment{}).
		Owns(&corev1.Service{}).
		Owns(&corev1.ConfigMap{}).
		Owns(&corev1.ServiceAccount{}).
		Owns(&networkingv1.NetworkPolicy{}).
		Owns(&policyv1.PodDisruptionBudget{}, builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		Owns(&autoscalingv2.HorizontalPodAutoscaler{}, builder.WithPredicates(autoscalerChanged)).
		Watches(&v1alpha1.LogPipeline{}, handler.Funcs{DeleteFunc: r.topicFreed}).
		Watches(&corev1.Pod{}, handler.EnqueueRequestsFromMapFunc(pipelineOf), builder.WithPredicates(ailmentChanged)).
		WithOptions(controller.Options{
			MaxConcurrentReconciles: r.Concurrency,
			RateLimiter:             workqueue.NewTypedItemExponentialFailureRateLimiter[reconcile.Request](firstRetry, slowestRetry),
		}).
		Complete(r)
	if err != nil {
		return fmt.Errorf("set up reconciler: %w", err)
	}
	return nil
}

// pipelineOf is whose pod this is.
func pipelineOf(_ context.Context, pod client.Object) []reconcile.Request {
	pipeline, _ := resources.PodOf(pod.GetLabels())
	return []reconcile.Request{{NamespacedName: client.ObjectKey{Namespace: pod.GetNamespace(), Name: pipeline}}}
}

// topicFreed has a pipeline looked at again that has yielded its topic to the
// one that is now gone.
func (r *Reconciler) topicFreed(ctx context.Context, gone event.DeleteEvent, queue workqueue.TypedRateLimitingInterface[reconcile.Request]) {
	topic := resources.TopicName(gone.Object.(*v1alpha1.LogPipeline))
	sharing, err := r.withTopic(ctx, topic)
	if err != nil {
		log.FromContext(ctx).Error(err, "look for who waits for a topic", "topic", topic)
		return
	}
	for i := range sharing {
		queue.Add(reconcile.Request{NamespacedName: client.ObjectKeyFromObject(&sharing[i])})
	}
}
