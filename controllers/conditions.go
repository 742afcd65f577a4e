package controllers

import (
	"fmt"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/logpipeline/logpipeline/api/v1alpha1"
	"github.com/logpipeline/logpipeline/controllers/scaling"
)

// The conditions of the parts of a pipeline, one function each. They are pure.

const suspendedMessage = "spec.suspend is true"

// kafkaReachable is Unknown when Kafka was not asked.
func kafkaReachable(p *pass) metav1.Condition {
	const t = v1alpha1.ConditionKafkaReachable
	switch {
	case p.failedAt(t):
		return condition(t, metav1.ConditionFalse, p.failure.reason, p.failure.Unwrap().Error())
	case p.topic.checked:
		return condition(t, metav1.ConditionTrue, v1alpha1.ReasonBrokersAnswered, "the brokers answered")
	default:
		return unchecked(p, t)
	}
}

func topicReady(p *pass) metav1.Condition {
	const t = v1alpha1.ConditionTopicReady
	topic, asked := p.topic.topic, p.resolved.topic.ReplicationFactor
	switch {
	case p.failedAt(t):
		return condition(t, metav1.ConditionFalse, p.failure.reason, p.failure.Unwrap().Error())
	case topic.ID == "":
		return unchecked(p, t)
	case asked > 0 && topic.ReplicationFactor > 0 && asked != topic.ReplicationFactor:
		return condition(t, metav1.ConditionTrue, v1alpha1.ReasonReplicationFactorDiffers, fmt.Sprintf(
			"topic %q has %d partitions; its replication factor is %d, topic.replicationFactor is %d: the operator does not move replicas, reassign them with Kafka's tools",
			topic.Name, topic.Partitions, topic.ReplicationFactor, asked))
	case topic.Weakness != "":
		return condition(t, metav1.ConditionTrue, v1alpha1.ReasonWeakTopic,
			fmt.Sprintf("topic %q has %d partitions, and can lose records: %s", topic.Name, topic.Partitions, topic.Weakness))
	default:
		return condition(t, metav1.ConditionTrue, v1alpha1.ReasonTopicExists,
			fmt.Sprintf("topic %q has %d partitions", topic.Name, topic.Partitions))
	}
}

func storageReady(p *pass) metav1.Condition {
	const t = v1alpha1.ConditionStorageReady
	storage, consumer := p.storage, p.children.consumer
	switch {
	case p.failedAt(t):
		return condition(t, metav1.ConditionFalse, p.failure.reason, p.failure.Unwrap().Error())
	case strings.Contains(consumer.trouble.ailment.words, v1alpha1.ReasonExclusiveCreateUnsupported):
		return condition(t, metav1.ConditionFalse, v1alpha1.ReasonExclusiveCreateUnsupported, consumer.trouble.String())
	case consumer.told.StoreFailure.Pod != "":
		return condition(t, metav1.ConditionFalse, v1alpha1.ReasonStoreFailed, saidBy(p, consumer.told.StoreFailure))
	case p.pipeline.Spec.Storage.ObjectStore != nil:
		return condition(t, metav1.ConditionTrue, v1alpha1.ReasonObjectStore,
			fmt.Sprintf("segments are stored in %s", p.pipeline.Spec.Storage.ObjectStore.URL))
	case storage.claimName == "":
		return condition(t, metav1.ConditionTrue, v1alpha1.ReasonEphemeral, "segments live and die with their pod")
	case storage.claim == nil:
		return condition(t, metav1.ConditionFalse, v1alpha1.ReasonClaimNotFound,
			fmt.Sprintf("there is no PersistentVolumeClaim %q: create it", storage.claimName))
	case storage.claim.Status.Phase == corev1.ClaimBound:
		return condition(t, metav1.ConditionTrue, v1alpha1.ReasonClaimBound,
			fmt.Sprintf("PersistentVolumeClaim %q is bound", storage.claimName))
	case storage.claim.Status.Phase == corev1.ClaimLost:
		return condition(t, metav1.ConditionFalse, v1alpha1.ReasonClaimLost,
			fmt.Sprintf("the volume of PersistentVolumeClaim %q is gone: restore it", storage.claimName))
	default:
		return condition(t, metav1.ConditionFalse, v1alpha1.ReasonClaimPending,
			fmt.Sprintf("PersistentVolumeClaim %q waits for a volume", storage.claimName))
	}
}

// available tells of the Deployment of one role.
func available(p *pass, t string, d deploymentSeen) metav1.Condition {
	switch {
	case p.failedAt(t):
		return condition(t, metav1.ConditionFalse, p.failure.reason, p.failure.Unwrap().Error())
	case p.pipeline.Spec.Suspend:
		return condition(t, metav1.ConditionFalse, v1alpha1.ReasonSuspended, suspendedMessage)
	case d.live == nil && !d.changed:
		return condition(t, metav1.ConditionFalse, v1alpha1.ReasonDeploymentMissing, "the Deployment does not exist yet")
	case d.changed || !statusIsCurrent(d.live):
		return condition(t, metav1.ConditionFalse, v1alpha1.ReasonDeploymentProgressing, "the Deployment has been changed")
	case d.told.Stopped.Pod != "":
		return condition(t, metav1.ConditionFalse, v1alpha1.ReasonPartitionsStopped, saidBy(p, d.told.Stopped))
	case rolloutFailed(d.live):
		return condition(t, metav1.ConditionFalse, v1alpha1.ReasonDeploymentFailed,
			"the rollout makes no progress: "+waitingMessage(d))
	case rolledOut(d.live):
		return condition(t, metav1.ConditionTrue, v1alpha1.ReasonDeploymentAvailable, readyMessage(d.live))
	case d.trouble.pod != "":
		return condition(t, metav1.ConditionFalse, v1alpha1.ReasonPodsFailing, waitingMessage(d))
	default:
		return condition(t, metav1.ConditionFalse, v1alpha1.ReasonDeploymentProgressing, waitingMessage(d))
	}
}

// autoscalingOf is wanted where something is to be scaled.
func autoscalingOf(p *pass) (c metav1.Condition, wanted bool) {
	const t = v1alpha1.ConditionAutoscalingActive
	if p.failedAt(t) {
		return condition(t, metav1.ConditionFalse, p.failure.reason, p.failure.Unwrap().Error()), true
	}
	return autoscalingActive(p.autoscaling)
}

// statusIsCurrent tells whether the status is of what the Deployment asks for now.
func statusIsCurrent(d *appsv1.Deployment) bool { return d.Status.ObservedGeneration >= d.Generation }

func rolledOut(d *appsv1.Deployment) bool {
	want := *d.Spec.Replicas
	return d.Status.UpdatedReplicas == want && d.Status.Replicas == want && d.Status.AvailableReplicas == want
}

func rolloutFailed(d *appsv1.Deployment) bool {
	for _, c := range d.Status.Conditions {
		if c.Type == appsv1.DeploymentProgressing && c.Status == corev1.ConditionFalse {
			return true
		}
	}
	return false
}

func readyMessage(d *appsv1.Deployment) string {
	return fmt.Sprintf("%d of %d pods of Deployment %q are up to date and ready",
		min(d.Status.UpdatedReplicas, d.Status.ReadyReplicas), *d.Spec.Replicas, d.Name)
}

// saidBy quotes a pod.
func saidBy(p *pass, q scaling.Quote) string {
	return fmt.Sprintf("pod %q says: %s; for more: kubectl logs -n %s %[1]s", q.Pod, quoted(fleeting.ReplaceAllString(q.Message, "")), p.pipeline.Namespace)
}

// waitingMessage also says why pods are missing, or where to look while that
// is not known.
func waitingMessage(d deploymentSeen) string {
	if d.trouble.pod != "" {
		return fmt.Sprintf("%s; %s", readyMessage(d.live), d.trouble)
	}
	return fmt.Sprintf("%s; to see why others are not: kubectl describe pods -n %s -l %s",
		readyMessage(d.live), d.live.Namespace, metav1.FormatLabelSelector(d.live.Spec.Selector))
}

// failedAt tells whether the phases ended at what this condition is about.
func (p *pass) failedAt(conditionType string) bool {
	return p.failure != nil && p.failure.condition == conditionType
}

// unchecked is what was not looked at in this pass.
func unchecked(p *pass, conditionType string) metav1.Condition {
	if p.pipeline.Spec.Suspend && p.failure == nil {
		return condition(conditionType, metav1.ConditionUnknown, v1alpha1.ReasonSuspended, "not asked: "+suspendedMessage)
	}
	return condition(conditionType, metav1.ConditionUnknown, v1alpha1.ReasonNotChecked, "an earlier step failed, see Ready")
}
