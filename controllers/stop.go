package controllers

import (
	"context"
	"fmt"
	"slices"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	appsv1ac "k8s.io/client-go/applyconfigurations/apps/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/logpipeline/logpipeline/api/v1alpha1"
	"github.com/logpipeline/logpipeline/controllers/resources"
	"github.com/logpipeline/logpipeline/controllers/scaling"
)

// DefaultDrainWithin is how long the consumers of a pipeline that stops may go
// on, at the most, to store what the topic holds.
const DefaultDrainWithin = 10 * time.Minute

// drainCheckEvery is half of what the lag is read in.
const drainCheckEvery = scaling.Interval / 2

// planSuspension decides which pods of a suspended pipeline go.
func (r *Reconciler) planSuspension(ctx context.Context, p *pass) error {
	if !p.pipeline.Spec.Suspend {
		r.drains.forget(client.ObjectKeyFromObject(p.pipeline))
		return nil
	}
	since := r.Now()
	if draining(p.pipeline) {
		since = meta.FindStatusCondition(p.pipeline.Status.Conditions, v1alpha1.ConditionReconciling).LastTransitionTime.Time
	}
	return r.planStop(ctx, p, since)
}

// draining tells whether a suspended pipeline still has consumers, by its
// status, which another replica of the operator reads as well.
func draining(p *v1alpha1.LogPipeline) bool {
	c := meta.FindStatusCondition(p.Status.Conditions, v1alpha1.ConditionReconciling)
	return p.Spec.Suspend && c != nil && c.Reason == v1alpha1.ReasonDraining
}

// unobserved tells whether nobody looks at how far a pipeline is: it is suspended
// and has no consumers. One that is deleted may still have them.
func unobserved(p *v1alpha1.LogPipeline) bool {
	return p.Spec.Suspend && !draining(p) && p.DeletionTimestamp.IsZero()
}

// planStop decides how far a pipeline is that has been stopping since a time.
func (r *Reconciler) planStop(ctx context.Context, p *pass, since time.Time) error {
	ingester, err := r.readDeployment(ctx, p, resources.IngesterName(p.pipeline))
	if err != nil {
		return err
	}
	consumer, err := r.readDeployment(ctx, p, resources.ConsumerName(p.pipeline))
	if err != nil {
		return err
	}
	seen := drainSeen{since: since, now: r.Now(), within: r.DrainWithin}
	if seen.ingesting, err = r.runs(ctx, p.pipeline, ingester, resources.IngesterComponent); err != nil {
		return err
	}
	key := client.ObjectKeyFromObject(p.pipeline)
	quiet := r.drains.quietSince(key, seen.ingesting, seen.now)
	sample, _ := r.Autoscaling.sample(p.pipeline)
	if lag := sample.LagRecords; lag.Known(seen.now) == nil {
		seen.known, seen.left, seen.fresh = true, int64(lag.Value), lag.At.After(quiet)
	}
	switch topic := p.pipeline.Status.Topic; {
	case topic == nil: // nothing has been taken
	case consumer == nil || !consumer.DeletionTimestamp.IsZero():
		seen.topic, seen.lost = topic.Name, !p.pipeline.DeletionTimestamp.IsZero()
	case *consumer.Spec.Replicas > 0 || !holdsReplicas(consumer):
		seen.topic, seen.consumers = topic.Name, max(1, *consumer.Spec.Replicas)
	}
	p.stopping = seen.decide()
	return nil
}

// runs tells whether a role may still have pods: the Deployment doesn't count
// those that are on their way out.
func (r *Reconciler) runs(ctx context.Context, p *v1alpha1.LogPipeline, d *appsv1.Deployment, component string) (bool, error) {
	if d != nil && (*d.Spec.Replicas > 0 || d.Status.Replicas > 0 || !statusIsCurrent(d)) {
		return true, nil
	}
	pods, err := r.podsOf(ctx, p, component)
	return slices.ContainsFunc(pods, func(pod corev1.Pod) bool { return !ended(&pod) }), err
}

// stop takes what is to go of a pipeline's pods, whatever is wrong with its
// spec: autoscalers first, which would bring them back.
func (r *Reconciler) stop(ctx context.Context, p *pass) error {
	for name, replicas := range map[string]int32{
		resources.IngesterName(p.pipeline): 0,
		resources.ConsumerName(p.pipeline): p.stopping.consumers,
	} {
		if err := r.prune(ctx, p.pipeline, name, &autoscalingv2.HorizontalPodAutoscaler{}); err != nil {
			return err
		}
		if err := r.scale(ctx, p, name, replicas); err != nil {
			return err
		}
	}
	return nil
}

// scale applies a Deployment as it was applied last, but for the replicas. One
// that has gone meanwhile does not come back.
func (r *Reconciler) scale(ctx context.Context, p *pass, name string, replicas int32) error {
	live, err := r.readDeployment(ctx, p, name)
	if err != nil || live == nil || !live.DeletionTimestamp.IsZero() {
		return err
	}
	if *live.Spec.Replicas == replicas && holdsReplicas(live) {
		return nil
	}
	applied, err := appsv1ac.ExtractDeployment(live, fieldManager)
	if err != nil {
		return fmt.Errorf("extract applied fields of Deployment %q: %w", name, err)
	}
	if applied.Spec == nil {
		applied.WithSpec(appsv1ac.DeploymentSpec())
	}
	applied.WithUID(live.UID).WithResourceVersion(live.ResourceVersion).Spec.WithReplicas(replicas)
	if err := r.Client.Apply(ctx, applied, client.FieldOwner(fieldManager), client.ForceOwnership); client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("scale Deployment %q to %d: %w", name, replicas, err)
	}
	return nil
}

// tellDrained sends the event of the end of a drain, once the consumers have
// been let go.
func (r *Reconciler) tellDrained(p *pass) {
	if h := p.stopping.ended; h != nil && r.drains.end(client.ObjectKeyFromObject(p.pipeline), *h) {
		r.Events.Eventf(p.pipeline, nil, h.kind, h.reason, h.action, "%s", h.note)
	}
}
