package controllers

import (
	"context"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/logpipeline/logpipeline/api/v1alpha1"
	"github.com/logpipeline/logpipeline/controllers/resources"
	"github.com/logpipeline/logpipeline/controllers/topics"
)

// finalizer holds a LogPipeline until all is done that is to be done outside
// the API server. The children need none: they go with their owner.
const finalizer = "ingest.logpipeline.io/topic"

// Deleting a topic is tried this often and this long; then the topic stays,
// with an event, rather than the LogPipeline and its namespace.
const (
	deleteTopicEvery  = 5 * time.Second
	deleteTopicWithin = 2 * time.Minute
)

func deletesTopic(p *v1alpha1.LogPipeline) bool {
	return p.Spec.Topic.Management != v1alpha1.TopicExisting && p.Spec.Topic.DeletionPolicy == v1alpha1.TopicDelete
}

// holdFinalizer has the finalizer in place before there is a topic, and takes
// it away when the spec no longer asks for what it is for.
func (r *Reconciler) holdFinalizer(ctx context.Context, p *pass) error {
	return r.patchFinalizer(ctx, p.pipeline, deletesTopic(p.pipeline) || p.pipeline.Spec.Consumer.DrainOnDelete)
}

func (r *Reconciler) patchFinalizer(ctx context.Context, pipeline *v1alpha1.LogPipeline, hold bool) error {
	before := pipeline.DeepCopy()
	change := controllerutil.RemoveFinalizer
	if hold {
		change = controllerutil.AddFinalizer
	}
	if !change(pipeline, finalizer) {
		return nil
	}
	patch := client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})
	if err := r.Client.Patch(ctx, pipeline, patch); err != nil {
		return fmt.Errorf("patch finalizers: %w", err)
	}
	return nil
}

// finalize does, one after the other, what is to be done before the pipeline
// may go, and lets it go.
func (r *Reconciler) finalize(ctx context.Context, pipeline *v1alpha1.LogPipeline) (ctrl.Result, error) {
	key := client.ObjectKeyFromObject(pipeline)
	defer r.Topics.Release(key.String())
	r.rollouts.forget(key)
	if !controllerutil.ContainsFinalizer(pipeline, finalizer) {
		return ctrl.Result{}, nil
	}
	p := &pass{pipeline: pipeline}
	for _, duty := range []func(context.Context, *pass) (waits string, err error){
		r.drainBeforeDeletion,
		r.deleteTopicInTime,
	} {
		waits, err := duty(ctx, p)
		if err == nil && waits != "" {
			_, err = r.patchStatus(ctx, pipeline, terminating(pipeline, waits, r.Now()))
		}
		if err != nil || waits != "" {
			return ctrl.Result{RequeueAfter: deleteTopicEvery}, client.IgnoreNotFound(err)
		}
	}
	err := r.patchFinalizer(ctx, pipeline, false)
	return ctrl.Result{}, client.IgnoreNotFound(err)
}

// terminating is the status of a pipeline that waits for something before it
// goes. It is pure.
func terminating(p *v1alpha1.LogPipeline, waits string, now time.Time) v1alpha1.LogPipelineStatus {
	status := *p.Status.DeepCopy()
	status.ObservedGeneration = p.Generation
	meta.RemoveStatusCondition(&status.Conditions, v1alpha1.ConditionStalled)
	if terminationOf(p) == nil { // its time is when that began
		meta.RemoveStatusCondition(&status.Conditions, v1alpha1.ConditionReconciling)
	}
	setConditions(&status, now,
		condition(v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonTerminating, waits),
		condition(v1alpha1.ConditionReconciling, metav1.ConditionTrue, v1alpha1.ReasonTerminating, waits),
	)
	return status
}

// terminationOf is nil until a status has told that the pipeline waits.
func terminationOf(p *v1alpha1.LogPipeline) *metav1.Condition {
	c := meta.FindStatusCondition(p.Status.Conditions, v1alpha1.ConditionReconciling)
	if c == nil || c.Reason != v1alpha1.ReasonTerminating {
		return nil
	}
	return c
}

// terminatingSince is when an operator first looked after a pipeline that is
// being deleted, by its status, which another replica reads as well: while none
// did, nothing was drained, and no topic could be deleted.
func (r *Reconciler) terminatingSince(p *v1alpha1.LogPipeline) time.Time {
	if c := terminationOf(p); c != nil {
		return c.LastTransitionTime.Time
	}
	return r.Now()
}

// drainBeforeDeletion waits until the consumers have stored what the topic
// holds, or their time is over. Where others delete them, it does not wait.
func (r *Reconciler) drainBeforeDeletion(ctx context.Context, p *pass) (waits string, err error) {
	if !p.pipeline.Spec.Consumer.DrainOnDelete {
		return "", nil
	}
	since := r.terminatingSince(p.pipeline)
	err = r.planStop(ctx, p, since)
	if err == nil {
		err = r.stop(ctx, p)
	}
	if apierrors.IsConflict(err) {
		return "", err // the cache was behind
	}
	if err != nil && r.Now().Sub(since) < r.DrainWithin {
		log.FromContext(ctx).Info("not drained yet", "error", err.Error())
		return fmt.Sprintf("the pipeline is still to be drained: %v", err), nil // told, so that the time counts
	}
	if err != nil { // whoever refuses that may do so for ever
		p.stopping = stopping{ended: drainSeen{topic: resources.TopicName(p.pipeline)}.notDrained(err.Error())}
	}
	r.tellDrained(p)
	return p.stopping.waits, nil
}

// deleteTopicInTime deletes the topic, if the spec asks for it, or gives that
// up.
func (r *Reconciler) deleteTopicInTime(ctx context.Context, p *pass) (waits string, err error) {
	within := deleteTopicWithin
	if p.pipeline.Spec.Consumer.DrainOnDelete {
		within += r.DrainWithin
	}
	err = r.deleteTopic(ctx, p.pipeline)
	if err != nil && r.Now().Sub(r.terminatingSince(p.pipeline)) < within {
		log.FromContext(ctx).Info("topic not deleted yet", "error", err.Error())
		return fmt.Sprintf("topic %q is still to be deleted: %v", p.pipeline.Status.Topic.Name, err), nil
	}
	if err != nil {
		r.topicRetained(p.pipeline, err.Error())
	}
	return "", nil
}

func (r *Reconciler) deleteTopic(ctx context.Context, pipeline *v1alpha1.LogPipeline) error {
	seen := pipeline.Status.Topic
	switch {
	case !deletesTopic(pipeline) || seen == nil:
		return nil
	case !seen.Created:
		r.topicRetained(pipeline, "the operator has not created it")
		return nil
	case pipeline.Spec.Consumer.DrainOnDelete && !r.drains.drained(client.ObjectKeyFromObject(pipeline)):
		r.topicRetained(pipeline, "it may hold records that are not stored")
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, kafkaTimeout)
	defer cancel()
	read, err := r.readSecretsOf(ctx, pipeline, adminField(pipeline))
	if err != nil {
		return err
	}
	cluster, err := r.cluster(pipeline, read)
	if err != nil {
		return err
	}
	identity := topics.Identity{ClusterID: seen.ClusterID, ID: seen.ID}
	if err := cluster.Delete(ctx, seen.Name, identity); err != nil {
		return err
	}
	r.topicDeleted(pipeline)
	return nil
}
