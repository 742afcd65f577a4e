package controllers

import (
	"context"
	"fmt"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/logpipeline/logpipeline/api/v1alpha1"
	"github.com/logpipeline/logpipeline/controllers/resources"
)

// writeStatus writes what decide says, if that is not there already. It
// refuses to write over a status that it has not read: the cache may be
// behind.
func (r *Reconciler) writeStatus(ctx context.Context, p *pass) error {
	status := decide(p, r.Now())
	written, err := r.patchStatus(ctx, p.pipeline, status)
	if written {
		r.tell(p.pipeline, status)
	}
	return err
}

func (r *Reconciler) patchStatus(ctx context.Context, p *v1alpha1.LogPipeline, status v1alpha1.LogPipelineStatus) (written bool, err error) {
	if equality.Semantic.DeepEqual(p.Status, status) {
		return false, nil
	}
	if status.Observed == nil {
		status.Observed = r.Autoscaling.firstObserved(p)
	}
	after := p.DeepCopy()
	after.Status = status
	patch := client.MergeFromWithOptions(p, client.MergeFromWithOptimisticLock{})
	if err := r.Client.Status().Patch(ctx, after, patch); err != nil {
		return false, fmt.Errorf("write status: %w", err)
	}
	return true, nil
}

// decide is the status of a pipeline, from what a pass has learnt and from
// the status before. It is pure.
func decide(p *pass, now time.Time) v1alpha1.LogPipelineStatus {
	status := *p.pipeline.Status.DeepCopy()
	status.ObservedGeneration = p.pipeline.Generation
	if topic := p.topic.topic; topic.ID != "" {
		status.Topic = topicStatus(topic, status.Topic != nil && status.Topic.Created)
	}
	status.Ingester, status.Consumer = nil, nil
	if live := p.children.ingester.live; live != nil {
		status.Endpoint = resources.Endpoint(live)
		status.Ingester = &v1alpha1.IngesterStatus{
			Replicas: live.Status.Replicas, ReadyReplicas: live.Status.ReadyReplicas, Ready: readyOfWanted(live),
		}
	}
	if live := p.children.consumer.live; live != nil {
		status.Consumer = &v1alpha1.ConsumerStatus{
			Replicas: live.Status.Replicas, ReadyReplicas: live.Status.ReadyReplicas, Ready: readyOfWanted(live),
			Group: group(p),
		}
	}
	if _, wanted := autoscalingOf(p); !wanted {
		meta.RemoveStatusCondition(&status.Conditions, v1alpha1.ConditionAutoscalingActive)
	}
	if p.stopping.consumers > 0 && !draining(p.pipeline) { // its time is when that began
		meta.RemoveStatusCondition(&status.Conditions, v1alpha1.ConditionReconciling)
	}
	setConditions(&status, now, conditions(p)...)
	removeUntrue(&status.Conditions, v1alpha1.ConditionReconciling, v1alpha1.ConditionStalled)
	return status
}

// setConditions notes for which generation they were decided.
func setConditions(status *v1alpha1.LogPipelineStatus, now time.Time, conditions ...metav1.Condition) {
	for _, c := range conditions {
		c.ObservedGeneration, c.LastTransitionTime = status.ObservedGeneration, metav1.NewTime(now)
		meta.SetStatusCondition(&status.Conditions, c)
	}
}

func readyOfWanted(d *appsv1.Deployment) string {
	return fmt.Sprintf("%d/%d", d.Status.ReadyReplicas, *d.Spec.Replicas)
}

// group is empty only when the spec is invalid, and then the one before
// stays.
func group(p *pass) string {
	if g := p.resolved.configs.Consumer.Consumer.Group; g != "" || p.pipeline.Status.Consumer == nil {
		return g
	}
	return p.pipeline.Status.Consumer.Group
}

// conditions are all conditions of a pipeline, the summary first.
func conditions(p *pass) []metav1.Condition {
	parts := []metav1.Condition{
		kafkaReachable(p),
		topicReady(p),
		storageReady(p),
		available(p, v1alpha1.ConditionIngesterAvailable, p.children.ingester),
		available(p, v1alpha1.ConditionConsumerAvailable, p.children.consumer),
	}
	if c, wanted := autoscalingOf(p); wanted {
		parts = append(parts, c)
	}
	ready := readiness(p, parts)
	return append([]metav1.Condition{ready, reconciling(p, ready), stalled(p)}, parts...)
}

// readiness is True when every part is, or nothing is left to stop, and otherwise
// tells of the first part that is not.
func readiness(p *pass, parts []metav1.Condition) metav1.Condition {
	if p.failure != nil {
		return condition(v1alpha1.ConditionReady, metav1.ConditionFalse, p.failure.reason, p.failure.err.Error())
	}
	if p.pipeline.Spec.Suspend {
		status := metav1.ConditionFalse
		if p.stopping.consumers == 0 && p.children.gone() {
			status = metav1.ConditionTrue // it is as the spec says: whoever waits for that need not go on
		}
		return condition(v1alpha1.ConditionReady, status, v1alpha1.ReasonSuspended, suspendedMessage)
	}
	for _, part := range parts {
		if part.Status != metav1.ConditionTrue {
			return condition(v1alpha1.ConditionReady, metav1.ConditionFalse, part.Reason, part.Message)
		}
	}
	return condition(v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonRunning, "records are taken and stored")
}

// reconciling is True while the operator has something left to do.
func reconciling(p *pass, ready metav1.Condition) metav1.Condition {
	no := condition(v1alpha1.ConditionReconciling, metav1.ConditionFalse, v1alpha1.ReasonProgressing, "")
	switch {
	case p.stopping.consumers > 0:
		return condition(no.Type, metav1.ConditionTrue, v1alpha1.ReasonDraining, p.stopping.waits)
	case p.failure != nil && p.failure.stalled:
		return no
	case p.failure != nil:
		return condition(no.Type, metav1.ConditionTrue, v1alpha1.ReasonRetrying, ready.Message)
	case p.pipeline.Spec.Suspend && p.children.gone():
		return no
	case p.rollout.held != "":
		return condition(no.Type, metav1.ConditionTrue, p.rollout.held, p.rollout.message)
	case ready.Status == metav1.ConditionTrue:
		return no
	default:
		return condition(no.Type, metav1.ConditionTrue, v1alpha1.ReasonProgressing, ready.Message)
	}
}

// gone tells whether no pod is left.
func (c childrenSeen) gone() bool {
	for _, d := range []deploymentSeen{c.ingester, c.consumer} {
		if d.changed || d.live != nil && (!statusIsCurrent(d.live) || d.live.Status.Replicas > 0) {
			return false
		}
	}
	return true
}

// stalled waits until a drain has ended, which goes on whatever else is wrong.
func stalled(p *pass) metav1.Condition {
	if p.failure == nil || !p.failure.stalled || p.stopping.consumers > 0 {
		return condition(v1alpha1.ConditionStalled, metav1.ConditionFalse, v1alpha1.ReasonProgressing, "")
	}
	return condition(v1alpha1.ConditionStalled, metav1.ConditionTrue, p.failure.reason, p.failure.err.Error())
}

func removeUntrue(conditions *[]metav1.Condition, types ...string) {
	for _, t := range types {
		if !meta.IsStatusConditionTrue(*conditions, t) {
			meta.RemoveStatusCondition(conditions, t)
		}
	}
}

func condition(conditionType string, status metav1.ConditionStatus, reason, message string) metav1.Condition {
	return metav1.Condition{Type: conditionType, Status: status, Reason: reason, Message: cut(message, messageLimit)}
}

// messageLimit is what the API server takes in a condition's message.
const messageLimit = 32768
