package controllers

import (
	corev1 "k8s.io/api/core/v1"

	"github.com/logpipeline/logpipeline/api/v1alpha1"
	"github.com/logpipeline/logpipeline/controllers/topics"
)

// Every event is made here.

func (r *Reconciler) topicCreated(p *v1alpha1.LogPipeline, topic topics.Topic) {
	r.Events.Eventf(p, nil, corev1.EventTypeNormal, "TopicCreated", "CreateTopic",
		"created topic %q with id %s and %d partitions", topic.Name, topic.ID, topic.Partitions)
}

func (r *Reconciler) topicDeleted(p *v1alpha1.LogPipeline) {
	r.Events.Eventf(p, nil, corev1.EventTypeNormal, "TopicDeleted", "DeleteTopic",
		"topic %q with id %s is deleted", p.Status.Topic.Name, p.Status.Topic.ID)
}

func (r *Reconciler) topicRetained(p *v1alpha1.LogPipeline, why string) {
	r.Events.Eventf(p, nil, corev1.EventTypeWarning, "TopicRetained", "DeleteTopic",
		"topic %q with id %s stays: %s", p.Status.Topic.Name, p.Status.Topic.ID, why)
}
