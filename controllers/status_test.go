package controllers

import (
	"errors"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/logpipeline/logpipeline/api/v1alpha1"
	"github.com/logpipeline/logpipeline/controllers/scaling"
	"github.com/logpipeline/logpipeline/controllers/topics"
	"github.com/logpipeline/logpipeline/ingester/segment"
)

// passAt is a pass that found everything as it should be, then changed.
func passAt(changes ...func(*pass)) *pass {
	p := &pass{
		pipeline: newPipeline("logs", []string{"kafka:9092"}),
		topic: topicSeen{checked: true, topic: topics.Topic{
			Identity: topics.Identity{ClusterID: "c", ID: "t"}, Name: "logs.orders", Partitions: 3, ReplicationFactor: 1,
		}},
		children: childrenSeen{ingester: rolledOutDeployment(2), consumer: rolledOutDeployment(1)},
	}
	p.pipeline.Generation = 4
	p.resolved.configs.Consumer.Consumer.Group = "g"
	for _, change := range changes {
		change(p)
	}
	return p
}

func rolledOutDeployment(n int32) deploymentSeen {
	return deploymentSeen{live: &appsv1.Deployment{
		Spec:   appsv1.DeploymentSpec{Replicas: ptr.To(n)},
		Status: appsv1.DeploymentStatus{Replicas: n, UpdatedReplicas: n, ReadyReplicas: n, AvailableReplicas: n},
	}}
}

func failing(condition, reason string, stalled bool) func(*pass) {
	return func(p *pass) { p.failure = &failure{condition, reason, stalled, errors.New("why")} }
}

func TestConditionsFollowWhatWasSeen(t *testing.T) {
	const (
		yes     = "True"
		no      = "False"
		unknown = "Unknown"
	)
	type state map[string]string // "Status Reason" by type
	running := state{
		"Ready": yes + " Running", "KafkaReachable": yes + " BrokersAnswered", "TopicReady": yes + " TopicExists",
		"StorageReady": yes + " Ephemeral", "IngesterAvailable": yes + " DeploymentAvailable", "ConsumerAvailable": yes + " DeploymentAvailable",
	}
	tests := map[string]struct {
		pass *pass
		// differs from running; an empty value says that the condition is absent.
		differs state
	}{
		"all is well": {passAt(), state{}},
		"invalid spec": {
			passAt(failing("Ready", "InvalidSpec", true), func(p *pass) { p.topic = topicSeen{} }),
			state{"Ready": no + " InvalidSpec", "Stalled": yes + " InvalidSpec", "KafkaReachable": unknown + " NotChecked", "TopicReady": unknown + " NotChecked"},
		},
		"Kafka down": {
			passAt(failing("KafkaReachable", "BrokersUnreachable", false), func(p *pass) { p.topic = topicSeen{} }),
			state{"Ready": no + " BrokersUnreachable", "Reconciling": yes + " Retrying", "KafkaReachable": no + " BrokersUnreachable", "TopicReady": unknown + " NotChecked"},
		},
		"topic of another id": {
			passAt(failing("TopicReady", "TopicRecreated", false), func(p *pass) { p.topic.topic = topics.Topic{} }),
			state{"Ready": no + " TopicRecreated", "Reconciling": yes + " Retrying", "TopicReady": no + " TopicRecreated"},
		},
		"other replication factor": {
			passAt(func(p *pass) { p.resolved.topic.ReplicationFactor = 3 }),
			state{"TopicReady": yes + " ReplicationFactorDiffers"},
		},
		"weak topic": {
			passAt(func(p *pass) { p.topic.topic.Weakness = "unclean elections" }),
			state{"TopicReady": yes + " WeakTopic"},
		},
		"claim missing": {
			passAt(func(p *pass) { p.storage.claimName = "c" }),
			state{"Ready": no + " ClaimNotFound", "Reconciling": yes + " Progressing", "StorageReady": no + " ClaimNotFound"},
		},
		"claim lost": {
			passAt(func(p *pass) {
				p.storage = storageSeen{"c", &corev1.PersistentVolumeClaim{Status: corev1.PersistentVolumeClaimStatus{Phase: corev1.ClaimLost}}}
			}),
			state{"Ready": no + " ClaimLost", "Reconciling": yes + " Progressing", "StorageReady": no + " ClaimLost"},
		},
		"claim bound": {
			passAt(func(p *pass) {
				p.storage = storageSeen{"c", &corev1.PersistentVolumeClaim{Status: corev1.PersistentVolumeClaimStatus{Phase: corev1.ClaimBound}}}
			}),
			state{"StorageReady": yes + " ClaimBound"},
		},
		"pods of the release before, in a row": {
			passAt(func(p *pass) { p.rollout.held = "RolloutQueued" }),
			state{"Reconciling": yes + " RolloutQueued"},
		},
		"pods of the release before, as others failed": {
			passAt(func(p *pass) { p.rollout.held = "RolloutsPaused" }),
			state{"Reconciling": yes + " RolloutsPaused"},
		},
		"ingester just changed": {
			passAt(func(p *pass) { p.children.ingester.changed = true }),
			state{"Ready": no + " DeploymentProgressing", "Reconciling": yes + " Progressing", "IngesterAvailable": no + " DeploymentProgressing"},
		},
		"ingester not seen by its controller": {
			passAt(func(p *pass) { p.children.ingester.live.Generation = 2 }),
			state{"Ready": no + " DeploymentProgressing", "Reconciling": yes + " Progressing", "IngesterAvailable": no + " DeploymentProgressing"},
		},
		"consumer being replaced": {
			passAt(func(p *pass) { p.children.consumer.live.Status.Replicas = 2 }),
			state{"Ready": no + " DeploymentProgressing", "Reconciling": yes + " Progressing", "ConsumerAvailable": no + " DeploymentProgressing"},
		},
		"consumer's rollout failed": {
			passAt(func(p *pass) {
				p.children.consumer.live.Status.Conditions = []appsv1.DeploymentCondition{{Type: appsv1.DeploymentProgressing, Status: corev1.ConditionFalse}}
			}),
			state{"Ready": no + " DeploymentFailed", "Reconciling": yes + " Progressing", "ConsumerAvailable": no + " DeploymentFailed"},
		},
		"consumer's pod crashes": {
			passAt(func(p *pass) {
				p.children.consumer.live.Status.AvailableReplicas = 0
				p.children.consumer.trouble = podTrouble{"logs", "a", ailment{what: "lost it"}}
			}),
			state{"Ready": no + " PodsFailing", "Reconciling": yes + " Progressing", "ConsumerAvailable": no + " PodsFailing"},
		},
		"consumer's partition stands still": {
			passAt(func(p *pass) {
				p.children.consumer.live.Status.AvailableReplicas = 0
				p.children.consumer.trouble = podTrouble{"logs", "a", ailmentUnready}
				p.children.consumer.told.Stopped = scaling.Quote{Pod: "a", Message: "m"}
			}),
			state{"Ready": no + " PartitionsStopped", "Reconciling": yes + " Progressing", "ConsumerAvailable": no + " PartitionsStopped"},
		},
		"store is not available": {
			passAt(func(p *pass) {
				p.children.consumer.live.Status.AvailableReplicas = 0
				p.children.consumer.told.StoreFailure = scaling.Quote{Pod: "a", Message: "m"}
			}),
			state{"Ready": no + " StoreFailed", "Reconciling": yes + " Progressing", "StorageReady": no + " StoreFailed", "ConsumerAvailable": no + " DeploymentProgressing"},
		},
		"store fails while consumers run": {
			passAt(func(p *pass) { p.children.consumer.told.StoreFailure = scaling.Quote{Pod: "a", Message: "m"} }),
			state{"Ready": no + " StoreFailed", "Reconciling": yes + " Progressing", "StorageReady": no + " StoreFailed"},
		},
		"store lets two create the same": {
			passAt(func(p *pass) {
				p.children.consumer.live.Status.AvailableReplicas = 0
				p.children.consumer.trouble = podTrouble{"logs", "a", ailment{what: "lost it", words: "ingester consume: " + segment.ErrExclusiveCreateUnsupported.Error()}}
			}),
			state{"Ready": no + " ExclusiveCreateUnsupported", "Reconciling": yes + " Progressing", "StorageReady": no + " ExclusiveCreateUnsupported", "ConsumerAvailable": no + " PodsFailing"},
		},
		"nothing runs yet": {
			passAt(func(p *pass) { p.children = childrenSeen{} }),
			state{"Ready": no + " DeploymentMissing", "Reconciling": yes + " Progressing", "IngesterAvailable": no + " DeploymentMissing", "ConsumerAvailable": no + " DeploymentMissing"},
		},
		"foreign Service": {
			passAt(failing("IngesterAvailable", "ForeignObject", false)),
			state{"Ready": no + " ForeignObject", "Reconciling": yes + " Retrying", "IngesterAvailable": no + " ForeignObject"},
		},
		"draining": {
			passAt(func(p *pass) {
				p.pipeline.Spec.Suspend = true
				p.topic, p.stopping = topicSeen{}, stopping{consumers: 1, waits: "for records"}
			}),
			state{"Ready": no + " Suspended", "Reconciling": yes + " Draining", "KafkaReachable": unknown + " Suspended", "TopicReady": unknown + " Suspended", "IngesterAvailable": no + " Suspended", "ConsumerAvailable": no + " Suspended"},
		},
		"draining with an invalid spec": {
			passAt(failing("ConsumerAvailable", "InvalidSpec", true), func(p *pass) {
				p.pipeline.Spec.Suspend, p.stopping = true, stopping{consumers: 1, waits: "for records"}
			}),
			state{"Ready": no + " InvalidSpec", "Reconciling": yes + " Draining", "IngesterAvailable": no + " Suspended", "ConsumerAvailable": no + " InvalidSpec"},
		},
		"suspending": {
			passAt(func(p *pass) { p.pipeline.Spec.Suspend = true; p.topic = topicSeen{} }),
			state{"Ready": no + " Suspended", "Reconciling": yes + " Progressing", "KafkaReachable": unknown + " Suspended", "TopicReady": unknown + " Suspended", "IngesterAvailable": no + " Suspended", "ConsumerAvailable": no + " Suspended"},
		},
		"suspended, and its controller has not seen that": {
			passAt(func(p *pass) {
				p.pipeline.Spec.Suspend = true
				p.topic, p.children = topicSeen{}, childrenSeen{rolledOutDeployment(0), rolledOutDeployment(0)}
				p.children.consumer.live.Generation = 2
			}),
			state{"Ready": no + " Suspended", "Reconciling": yes + " Progressing", "KafkaReachable": unknown + " Suspended", "TopicReady": unknown + " Suspended", "IngesterAvailable": no + " Suspended", "ConsumerAvailable": no + " Suspended"},
		},
		"suspended": {
			passAt(func(p *pass) {
				p.pipeline.Spec.Suspend = true
				p.topic, p.children = topicSeen{}, childrenSeen{rolledOutDeployment(0), rolledOutDeployment(0)}
			}),
			state{"Ready": yes + " Suspended", "KafkaReachable": unknown + " Suspended", "TopicReady": unknown + " Suspended", "IngesterAvailable": no + " Suspended", "ConsumerAvailable": no + " Suspended"},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			want := state{}
			for _, s := range []state{running, test.differs} {
				for conditionType, value := range s {
					want[conditionType] = value
				}
			}
			got := state{}
			for _, c := range decide(test.pass, time.Now()).Conditions {
				got[c.Type] = string(c.Status) + " " + c.Reason
				if c.ObservedGeneration != 4 {
					t.Errorf("%s is of generation %d", c.Type, c.ObservedGeneration)
				}
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
		})
	}
}

func TestStatusKeepsWhatWasNotLookedAt(t *testing.T) {
	p := passAt(failing("Ready", "InvalidSpec", true), func(p *pass) { p.topic = topicSeen{}; p.resolved = resolved{} })
	p.pipeline.Status = v1alpha1.LogPipelineStatus{
		Topic:    &v1alpha1.TopicStatus{Name: "n", ID: "t", ClusterID: "c", Created: true, Partitions: 3},
		Consumer: &v1alpha1.ConsumerStatus{Group: "before"},
	}
	got := decide(p, time.Now())
	if diff := cmp.Diff(p.pipeline.Status.Topic, got.Topic); diff != "" || got.Consumer.Group != "before" {
		t.Errorf("group %q, topic -before +after\n%s", got.Consumer.Group, diff)
	}
}

func TestTransitionTimeIsThatOfTheChange(t *testing.T) {
	start := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	p := passAt()
	p.pipeline.Status = decide(p, start)
	if diff := cmp.Diff(p.pipeline.Status, decide(p, start.Add(time.Hour))); diff != "" {
		t.Errorf("nothing was learnt, and the status differs\n%s", diff)
	}
	p.children.ingester.changed = true
	later := decide(p, start.Add(time.Hour))
	for _, c := range later.Conditions {
		changed := c.Type == v1alpha1.ConditionReady || c.Type == v1alpha1.ConditionIngesterAvailable || c.Type == v1alpha1.ConditionReconciling
		want := metav1.NewTime(start)
		if changed {
			want = metav1.NewTime(start.Add(time.Hour))
		}
		if !c.LastTransitionTime.Equal(&want) {
			t.Errorf("%s changed at %s, want %s", c.Type, c.LastTransitionTime, want)
		}
	}
}

// What the API server would write otherwise than the operator would differ for
// ever.
func TestLongMessageIsCutBetweenCharacters(t *testing.T) {
	long := "a" + strings.Repeat("ü", messageLimit)
	got := condition("T", metav1.ConditionTrue, "R", long).Message
	if !utf8.ValidString(got) || !strings.HasPrefix(long, got) || len(got) < messageLimit-utf8.UTFMax {
		t.Errorf("%d bytes, valid: %t", len(got), utf8.ValidString(got))
	}
}

func TestUnreadyPodsAreNamedByASelector(t *testing.T) {
	d := rolledOutDeployment(2)
	d.live.Name, d.live.Namespace = "orders-ingester", "logs"
	d.live.Spec.Selector = &metav1.LabelSelector{MatchLabels: map[string]string{"app.kubernetes.io/instance": "orders"}}
	d.live.Status.AvailableReplicas, d.live.Status.ReadyReplicas = 1, 1
	got := available(passAt(), v1alpha1.ConditionIngesterAvailable, d)
	want := metav1.Condition{
		Type: "IngesterAvailable", Status: "False", Reason: "DeploymentProgressing",
		Message: `1 of 2 pods of Deployment "orders-ingester" are up to date and ready; to see why others are not: kubectl describe pods -n logs -l app.kubernetes.io/instance=orders`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

// How long a drain has lasted is read from the status, by the operator that
// comes after the one that began it as well.
func TestDrainHasLastedSinceItsCondition(t *testing.T) {
	began := time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC)
	p := passAt(failing("KafkaReachable", "BrokersUnreachable", false))
	p.pipeline.Status = decide(p, began.Add(-time.Hour))
	p.failure, p.stopping, p.pipeline.Spec.Suspend = nil, stopping{consumers: 1}, true
	for _, now := range []time.Time{began, began.Add(time.Minute)} {
		p.pipeline.Status = decide(p, now)
		c := meta.FindStatusCondition(p.pipeline.Status.Conditions, v1alpha1.ConditionReconciling)
		if !draining(p.pipeline) || !c.LastTransitionTime.Time.Equal(began) {
			t.Errorf("at %v: %+v", now, c)
		}
	}
}

// So is how long a pipeline that is being deleted has waited, whatever was under
// way before.
func TestDeletionHasLastedSinceItsCondition(t *testing.T) {
	began := time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC)
	p := passAt(failing("KafkaReachable", "BrokersUnreachable", false)).pipeline
	p.Status = decide(passAt(failing("KafkaReachable", "BrokersUnreachable", false)), began.Add(-time.Hour))
	for _, now := range []time.Time{began, began.Add(time.Minute)} {
		r := Reconciler{Now: func() time.Time { return now }}
		if since := r.terminatingSince(p); !since.Equal(began) {
			t.Errorf("at %v it lasts since %v", now, since)
		}
		p.Status = terminating(p, "for records", now)
	}
}
