package controllers

import (
	"fmt"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/tools/events"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/logpipeline/logpipeline/api/v1alpha1"
	"github.com/logpipeline/logpipeline/controllers/topics"
)

// Every event is made here. Those that follow from a change of the status are
// in transitions.go.

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

func (r *Reconciler) replicasHandedOver(p *v1alpha1.LogPipeline, deployment string, replicas int32) {
	r.Events.Eventf(p, nil, corev1.EventTypeNormal, "ReplicasHandedOver", "Scale",
		"an autoscaler decides on the replicas of Deployment %q from now on; they begin at %d", deployment, replicas)
}

func (r *Reconciler) replicasTakenBack(p *v1alpha1.LogPipeline, deployment string, replicas int32) {
	r.Events.Eventf(p, nil, corev1.EventTypeNormal, "ReplicasTakenBack", "Scale",
		"the operator decides on the replicas of Deployment %q again; they are %d", deployment, replicas)
}

// loggedEvents also logs what people are told, so that the log has a line for
// each decision.
type loggedEvents struct {
	events.EventRecorder
	logger logr.Logger
}

// noteLimit is what the API server takes in an event's note.
const noteLimit = 1024

// Eventf implements events.EventRecorder. A note that is too long loses its end.
func (e loggedEvents) Eventf(regarding, related runtime.Object, eventType, reason, action, note string, arguments ...any) {
	note = fmt.Sprintf(note, arguments...)
	if object, ok := regarding.(client.Object); ok {
		e.logger.Info(note, "namespace", object.GetNamespace(), "name", object.GetName(), "reason", reason, "type", eventType)
	}
	e.EventRecorder.Eventf(regarding, related, eventType, reason, action, "%s", cut(note, noteLimit))
}
