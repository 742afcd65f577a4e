package controllers

import (
	"context"
	"fmt"
	"time"

	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/logpipeline/logpipeline/api/v1alpha1"
	"github.com/logpipeline/logpipeline/controllers/topics"
)

// finalizer holds a LogPipeline until its topic is deleted. The children need
// none: they go with their owner.
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

// holdFinalizer has the finalizer in place before there is a topic to delete,
// and takes it away when the spec no longer asks for that.
func (r *Reconciler) holdFinalizer(ctx context.Context, p *pass) error {
	return r.patchFinalizer(ctx, p.pipeline, deletesTopic(p.pipeline))
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

// finalize deletes the topic, if the spec asks for it, and lets the pipeline
// go.
func (r *Reconciler) finalize(ctx context.Context, pipeline *v1alpha1.LogPipeline) (ctrl.Result, error) {
	key := client.ObjectKeyFromObject(pipeline)
	defer r.Topics.Release(key.String())
	r.rollouts.forget(key)
	if !controllerutil.ContainsFinalizer(pipeline, finalizer) {
		return ctrl.Result{}, nil
	}
	if err := r.deleteTopic(ctx, pipeline); err != nil {
		if r.Now().Sub(pipeline.DeletionTimestamp.Time) < deleteTopicWithin {
			log.FromContext(ctx).Info("topic not deleted yet", "error", err.Error())
			return ctrl.Result{RequeueAfter: deleteTopicEvery}, nil
		}
		r.topicRetained(pipeline, err.Error())
	}
	err := r.patchFinalizer(ctx, pipeline, false)
	return ctrl.Result{}, client.IgnoreNotFound(err)
}

func (r *Reconciler) deleteTopic(ctx context.Context, pipeline *v1alpha1.LogPipeline) error {
	seen := pipeline.Status.Topic
	switch {
	case !deletesTopic(pipeline) || seen == nil:
		return nil
	case !seen.Created:
		r.topicRetained(pipeline, "the operator has not created it")
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
