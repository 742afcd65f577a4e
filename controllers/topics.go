package controllers

import (
	"context"
	"fmt"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/logpipeline/logpipeline/api/v1alpha1"
	"github.com/logpipeline/logpipeline/controllers/topics"
)

// topicSeen is what Kafka answered.
type topicSeen struct {
	// checked is false while no broker was asked, or none answered.
	checked bool
	// topic is the zero value while none was seen, or not the known one.
	topic topics.Topic
}

// kafkaTimeout bounds what one reconcile asks of Kafka.
const kafkaTimeout = 30 * time.Second

// ensureTopic makes the topic as the spec says. A suspended pipeline asks
// nothing of Kafka, so that it can be suspended while Kafka is down.
func (r *Reconciler) ensureTopic(ctx context.Context, p *pass) error {
	if p.pipeline.Spec.Suspend {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, kafkaTimeout)
	defer cancel()
	topic, created, err := r.cluster(p.pipeline).Ensure(ctx, p.resolved.topic)
	reason := topics.ReasonOf(err)
	p.topic.checked = err == nil || reason != topics.Unreachable
	if topic.ID != "" && reason != topics.Recreated {
		p.topic.topic = topic
	}
	if created {
		if err := r.recordTopic(ctx, p, topic); err != nil {
			return err
		}
	}
	if err != nil {
		return topicFailure(reason, err)
	}
	return nil
}

// recordTopic writes that the topic is ours as soon as it is, whoever else
// changes the pipeline meanwhile: only this pass knows, and without it the
// topic would never be deleted.
func (r *Reconciler) recordTopic(ctx context.Context, p *pass, topic topics.Topic) error {
	if topic.ID == "" {
		return nil // created, and not seen since: it counts as somebody else's
	}
	r.topicCreated(p.pipeline, topic)
	before, after := p.pipeline.DeepCopy(), p.pipeline.DeepCopy()
	after.Status.Topic = topicStatus(topic, true)
	if err := r.Client.Status().Patch(ctx, after, client.MergeFrom(before)); err != nil {
		return fmt.Errorf("record topic %q in status: %w", topic.Name, err)
	}
	p.pipeline.Status.Topic = after.Status.Topic
	if after.Generation == p.pipeline.Generation {
		p.pipeline.ResourceVersion = after.ResourceVersion
	}
	return nil
}

func topicStatus(topic topics.Topic, created bool) *v1alpha1.TopicStatus {
	return &v1alpha1.TopicStatus{
		Name: topic.Name, ID: topic.ID, ClusterID: topic.ClusterID,
		Created: created, Partitions: topic.Partitions,
	}
}

func (r *Reconciler) cluster(p *v1alpha1.LogPipeline) *topics.Cluster {
	return r.Topics.Cluster(client.ObjectKeyFromObject(p).String(), p.Spec.Kafka.BootstrapServers)
}

func topicFailure(reason topics.Reason, err error) *failure {
	shown := map[topics.Reason]failure{
		topics.Unreachable:              {condition: v1alpha1.ConditionKafkaReachable, reason: v1alpha1.ReasonBrokersUnreachable},
		topics.NotAuthorized:            {reason: v1alpha1.ReasonNotAuthorized},
		topics.NotFound:                 {reason: v1alpha1.ReasonTopicNotFound},
		topics.Recreated:                {reason: v1alpha1.ReasonTopicRecreated},
		topics.InvalidReplicationFactor: {reason: v1alpha1.ReasonInvalidReplicationFactor, stalled: true},
		topics.InvalidConfig:            {reason: v1alpha1.ReasonInvalidTopicConfig, stalled: true},
		topics.PartitionsBelowLive:      {reason: v1alpha1.ReasonPartitionsBelowLive, stalled: true},
		topics.Failed:                   {reason: v1alpha1.ReasonTopicError},
	}[reason]
	if shown.condition == "" {
		shown.condition = v1alpha1.ConditionTopicReady
	}
	shown.err = err
	return &shown
}
