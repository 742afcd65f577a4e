// Package controllers makes of a LogPipeline its Kafka topic and its objects,
// and shows in its status how far they are. Reconcile is a list of phases, one
// file each; the status is decided in one place, from what the phases learnt.
package controllers

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/logpipeline/logpipeline/api/v1alpha1"
	"github.com/logpipeline/logpipeline/controllers/scaling"
	"github.com/logpipeline/logpipeline/controllers/topics"
)

// +kubebuilder:rbac:groups=ingest.logpipeline.io,resources=logpipelines,verbs=get;list;watch;patch
// +kubebuilder:rbac:groups=ingest.logpipeline.io,resources=logpipelines/status,verbs=patch
// +kubebuilder:rbac:groups=ingest.logpipeline.io,resources=logpipelines/finalizers,verbs=update
// +kubebuilder:rbac:groups="",resources=configmaps;serviceaccounts;services,verbs=get;list;watch;create;patch
// +kubebuilder:rbac:groups=apps,resources=deployments,verbs=get;list;watch;create;patch
// +kubebuilder:rbac:groups="",resources=persistentvolumeclaims,verbs=get
// +kubebuilder:rbac:groups="",resources=secrets,verbs=get
// +kubebuilder:rbac:groups=policy,resources=poddisruptionbudgets,verbs=get;list;watch;create;patch
// +kubebuilder:rbac:groups=networking.k8s.io,resources=networkpolicies,verbs=get;list;watch;create;patch;delete
// +kubebuilder:rbac:groups=autoscaling,resources=horizontalpodautoscalers,verbs=get;list;watch;create;patch;delete
// +kubebuilder:rbac:groups=events.k8s.io,resources=events,verbs=create;patch

// Reconciler brings LogPipelines to what their specs ask for.
type Reconciler struct {
	// Client reads from the cache and writes to the API server.
	Client client.Client
	// Live reads from the API server.
	Live client.Reader
	// Topics holds the connections to Kafka.
	Topics *topics.Pool
	// Autoscaling knows what pipelines are scaled by.
	Autoscaling *Autoscaling
	// Events tells people what was done on their behalf.
	Events events.EventRecorder
	// Image of the pods.
	Image string
	// Release of the operator, which all pods are brought to, a few pipelines
	// at a time.
	Release string
	// Namespace is where the operator runs, which reads the signals of the
	// pods; empty where it is not known.
	Namespace string
	// Concurrency is how many pipelines are reconciled at the same time.
	Concurrency int
	// DrainWithin bounds how long the consumers of a pipeline that stops may
	// go on.
	DrainWithin time.Duration
	// Now is the clock.
	Now func() time.Time

	rollouts *rolloutTurns
	drains   *drains
}

// How long until a pipeline is looked at again when nothing has called for
// it: to find brokers that are gone, a topic that others have changed, and
// storage that is not there yet. What is invalid is so until the spec changes,
// or the API server does.
const (
	resyncEvery       = time.Minute
	storageCheckEvery = 10 * time.Second
	invalidCheckEvery = 10 * time.Minute
)

// pass is one reconcile of one pipeline: what it has learnt so far.
type pass struct {
	pipeline *v1alpha1.LogPipeline
	resolved resolved
	topic    topicSeen
	rollout  rolloutSeen
	stopping stopping
	children childrenSeen
	storage  storageSeen
	// autoscaling is read last, for it tells of what the phases made.
	autoscaling autoscalingSeen
	// failure is why the phases ended early; nil when they did not.
	failure *failure
}

// Reconcile implements reconcile.Reconciler.
func (r *Reconciler) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	pipeline := &v1alpha1.LogPipeline{}
	if err := r.Client.Get(ctx, request.NamespacedName, pipeline); err != nil {
		r.Topics.Release(request.String())
		r.rollouts.forget(request.NamespacedName)
		r.drains.forget(request.NamespacedName)
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	result, err := r.reconcile(ctx, pipeline)
	if apierrors.IsConflict(err) {
		return ctrl.Result{RequeueAfter: time.Second}, nil // the cache was behind
	}
	return result, err
}

func (r *Reconciler) reconcile(ctx context.Context, pipeline *v1alpha1.LogPipeline) (ctrl.Result, error) {
	if !pipeline.DeletionTimestamp.IsZero() {
		return r.finalize(ctx, pipeline)
	}
	p := &pass{pipeline: pipeline}
	if err := r.runPhases(ctx, p); err != nil {
		return ctrl.Result{}, err
	}
	if err := r.writeStatus(ctx, p); err != nil {
		return ctrl.Result{}, err
	}
	return p.result()
}

// runPhases goes through the phases until one fails; then only observes, so
// that the status still tells what runs. The error is one that no status can
// tell of.
func (r *Reconciler) runPhases(ctx context.Context, p *pass) error {
	for _, phase := range []func(context.Context, *pass) error{
		r.holdFinalizer,
		r.planSuspension,
		r.resolve,
		r.yieldToElder, // by its addresses
		r.ensureTopic,
		r.yieldToElder, // by its cluster, which is known now
		r.ensureDeadLetterTopic,
		r.applyChildren,
	} {
		err := phase(ctx, p)
		if err == nil {
			continue
		}
		if !errors.As(err, &p.failure) {
			return err
		}
		break
	}
	if p.failure != nil {
		r.rollouts.forget(client.ObjectKeyFromObject(p.pipeline)) // others may be luckier
	}
	if p.failure != nil && p.pipeline.Spec.Suspend {
		if err := r.stop(ctx, p); err != nil {
			return err
		}
	}
	r.tellDrained(p)
	return r.observe(ctx, p)
}

// result says when to come back.
func (p *pass) result() (ctrl.Result, error) {
	switch {
	case p.stopping.consumers > 0:
		return ctrl.Result{RequeueAfter: drainCheckEvery}, nil
	case p.failure != nil && !p.failure.stalled:
		return ctrl.Result{}, p.failure
	case p.failure != nil && p.failure.reason == v1alpha1.ReasonInvalidSpec:
		return ctrl.Result{RequeueAfter: invalidCheckEvery}, nil
	case p.failure == nil && !p.storage.ready():
		return ctrl.Result{RequeueAfter: storageCheckEvery}, nil
	case p.failure == nil && !p.pipeline.Spec.Suspend && (p.children.consumer.unexplained() || p.children.consumer.told.StoreFailure.Pod != ""):
		return ctrl.Result{RequeueAfter: scaling.Interval}, nil // the consumers are asked
	case p.failure == nil && p.rollout.held != "":
		return ctrl.Result{RequeueAfter: min(p.rollout.again, resyncEvery)}, nil
	default:
		return ctrl.Result{RequeueAfter: resyncEvery + rand.N(resyncEvery/5)}, nil
	}
}

// failure is what ended the phases, as a condition shows it.
type failure struct {
	// condition that it concerns; Ready when it concerns them all.
	condition string
	reason    string
	// stalled failures are mended by a change of the spec alone; others are
	// tried again.
	stalled bool
	err     error
}

func (f *failure) Error() string { return fmt.Sprintf("%s: %v", f.reason, f.err) }
func (f *failure) Unwrap() error { return f.err }
