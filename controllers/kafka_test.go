package controllers

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"testing"

	"github.com/google/uuid"
	"github.com/twmb/franz-go/pkg/kfake"
	appsv1 "k8s.io/api/apps/v1"
	eventsv1 "k8s.io/api/events/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/logpipeline/logpipeline/api/v1alpha1"
	"github.com/logpipeline/logpipeline/test/await"
)

// freePort is a port that nobody listens on.
func freePort(t *testing.T) int {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { err = errors.Join(err, listener.Close()) }()
	return listener.Addr().(*net.TCPAddr).Port
}

func address(port int) []string { return []string{"127.0.0.1:" + strconv.Itoa(port)} }

func TestPipelineWaitsForKafka(t *testing.T) {
	namespace, port := newNamespace(t), freePort(t)
	p := newPipeline(namespace, address(port))
	create(t, p)
	awaitCondition(t, p, v1alpha1.ConditionKafkaReachable, metav1.ConditionFalse, v1alpha1.ReasonBrokersUnreachable)
	awaitCondition(t, p, v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonBrokersUnreachable)
	awaitCondition(t, p, v1alpha1.ConditionReconciling, metav1.ConditionTrue, v1alpha1.ReasonRetrying)
	var deployments appsv1.DeploymentList
	if err := api.List(t.Context(), &deployments, client.InNamespace(namespace)); err != nil || len(deployments.Items) > 0 {
		t.Errorf("%d Deployments before the topic is known to exist, %v", len(deployments.Items), err)
	}
	newKafka(t, kfake.Ports(port))
	awaitRunning(t, p)
}

func TestWorkloadIsLeftAloneWhileKafkaIsDown(t *testing.T) {
	namespace, port := newNamespace(t), freePort(t)
	persistent := []kfake.Opt{kfake.Ports(port), kfake.DataDir(t.TempDir()), kfake.ClusterID(namespace)}
	kafka := newKafka(t, persistent...)
	p := newPipeline(namespace, address(port))
	startPipeline(t, p)
	known := *p.Status.Topic

	kafka.Close()
	change(t, p, func(p *v1alpha1.LogPipeline) {
		p.Spec.Ingester.Scaling = &v1alpha1.IngesterScalingSpec{Fixed: &v1alpha1.FixedScaling{Replicas: 5}}
	})
	awaitCondition(t, p, v1alpha1.ConditionKafkaReachable, metav1.ConditionFalse, v1alpha1.ReasonBrokersUnreachable)
	if n := *read[appsv1.Deployment](t, namespace, "orders-ingester").Spec.Replicas; n != 2 {
		t.Errorf("%d ingesters are asked for while Kafka is down, want the 2 of before", n)
	}
	awaitCondition(t, p, v1alpha1.ConditionIngesterAvailable, metav1.ConditionTrue, v1alpha1.ReasonDeploymentAvailable)

	change(t, p, func(p *v1alpha1.LogPipeline) { p.Spec.Suspend = true })
	await.NoError(t, func() error {
		if n := *read[appsv1.Deployment](t, namespace, "orders-ingester").Spec.Replicas; n != 0 {
			return fmt.Errorf("%d ingesters after suspending", n)
		}
		return nil
	})

	newKafka(t, persistent...)
	change(t, p, func(p *v1alpha1.LogPipeline) { p.Spec.Suspend = false })
	await.NoError(t, func() error {
		if n := *read[appsv1.Deployment](t, namespace, "orders-ingester").Spec.Replicas; n != 5 {
			return fmt.Errorf("%d ingesters", n)
		}
		return nil
	})
	awaitRunning(t, p)
	if *p.Status.Topic != known {
		t.Errorf("topic is %+v, was %+v", *p.Status.Topic, known)
	}
}

func TestRecreatedTopicIsToldAndNotTaken(t *testing.T) {
	namespace, kafka := newNamespace(t), newKafka(t)
	p := newPipeline(namespace, kafka.ListenAddrs())
	startPipeline(t, p)
	known := *p.Status.Topic
	if err := errors.Join(kafka.DeleteTopic(known.Name), kafka.CreateTopic(known.Name, 2, nil)); err != nil {
		t.Fatal(err)
	}
	// Left alone it would be asked about within a minute.
	change(t, p, func(p *v1alpha1.LogPipeline) {
		p.Spec.Ingester.Scaling = &v1alpha1.IngesterScalingSpec{Fixed: &v1alpha1.FixedScaling{Replicas: 3}}
	})
	awaitCondition(t, p, v1alpha1.ConditionTopicReady, metav1.ConditionFalse, v1alpha1.ReasonTopicRecreated)
	if *p.Status.Topic != known {
		t.Errorf("status has %+v instead of the known topic %+v", *p.Status.Topic, known)
	}
}

func TestPartitionsBelowLiveStall(t *testing.T) {
	namespace, kafka := newNamespace(t), newKafka(t)
	if err := kafka.CreateTopic("wide", 6, nil); err != nil {
		t.Fatal(err)
	}
	p := newPipeline(namespace, kafka.ListenAddrs())
	p.Spec.Topic = v1alpha1.TopicSpec{Name: "wide", Partitions: ptr.To[int32](3)}
	create(t, p)
	awaitCondition(t, p, v1alpha1.ConditionTopicReady, metav1.ConditionFalse, v1alpha1.ReasonPartitionsBelowLive)
	awaitCondition(t, p, v1alpha1.ConditionStalled, metav1.ConditionTrue, v1alpha1.ReasonPartitionsBelowLive)
}

func TestReplicationFactorIsShown(t *testing.T) {
	namespace, kafka := newNamespace(t), newKafka(t)
	if err := kafka.CreateTopic("narrow", 1, nil); err != nil {
		t.Fatal(err)
	}
	p := newPipeline(namespace, kafka.ListenAddrs())
	p.Spec.Topic = v1alpha1.TopicSpec{Name: "narrow", ReplicationFactor: ptr.To[int32](3)}
	startPipeline(t, p)
	awaitCondition(t, p, v1alpha1.ConditionTopicReady, metav1.ConditionTrue, v1alpha1.ReasonReplicationFactorDiffers)
}

func TestExistingTopicIsAwaitedAndNotChanged(t *testing.T) {
	namespace, kafka := newNamespace(t), newKafka(t)
	p := newPipeline(namespace, kafka.ListenAddrs())
	p.Spec.Topic = v1alpha1.TopicSpec{Management: v1alpha1.TopicExisting, Name: "theirs"}
	create(t, p)
	awaitCondition(t, p, v1alpha1.ConditionTopicReady, metav1.ConditionFalse, v1alpha1.ReasonTopicNotFound)
	if err := kafka.CreateTopic("theirs", 4, nil); err != nil {
		t.Fatal(err)
	}
	awaitRunning(t, p)
	if p.Status.Topic.Created || p.Status.Topic.Partitions != 4 {
		t.Errorf("status says %+v", *p.Status.Topic)
	}
	remove(t, p)
	if kafka.TopicInfo("theirs") == nil {
		t.Error("somebody else's topic was deleted")
	}
}

func TestDeletionPolicy(t *testing.T) {
	tests := map[string]struct {
		policy  v1alpha1.TopicDeletionPolicy
		before  func(t *testing.T, kafka *kfake.Cluster, topic string)
		deleted bool
		event   string
	}{
		"Delete":       {policy: v1alpha1.TopicDelete, deleted: true, event: "TopicDeleted"},
		"Retain":       {policy: v1alpha1.TopicRetain},
		"nothing said": {},
		"Delete, not our topic": {
			policy: v1alpha1.TopicDelete, event: "TopicRetained",
			before: func(t *testing.T, kafka *kfake.Cluster, topic string) {
				if err := kafka.CreateTopic(topic, 2, nil); err != nil {
					t.Fatal(err)
				}
			},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			namespace, kafka := newNamespace(t), newKafka(t)
			p := newPipeline(namespace, kafka.ListenAddrs())
			p.Spec.Topic.DeletionPolicy = test.policy
			if test.before != nil {
				test.before(t, kafka, namespace+".orders")
			}
			startPipeline(t, p)
			if held := len(p.Finalizers) > 0; held != (test.policy == v1alpha1.TopicDelete) {
				t.Errorf("finalizers are %v", p.Finalizers)
			}
			remove(t, p)
			if gone := kafka.TopicInfo(namespace+".orders") == nil; gone != test.deleted {
				t.Errorf("topic deleted: %t, want %t", gone, test.deleted)
			}
			if test.event != "" {
				awaitEvent(t, namespace, test.event)
			}
		})
	}
}

func TestDeletionSparesTopicOfAnotherID(t *testing.T) {
	namespace, kafka := newNamespace(t), newKafka(t)
	p := newPipeline(namespace, kafka.ListenAddrs())
	p.Spec.Topic.DeletionPolicy = v1alpha1.TopicDelete
	startPipeline(t, p)
	name := p.Status.Topic.Name
	if err := errors.Join(kafka.DeleteTopic(name), kafka.CreateTopic(name, 2, nil)); err != nil {
		t.Fatal(err)
	}
	remove(t, p)
	if topic := kafka.TopicInfo(name); topic == nil || uuid.UUID(topic.TopicID).String() == p.Status.Topic.ID {
		t.Errorf("the new topic is %+v", topic)
	}
}

func TestFinalizerFollowsDeletionPolicy(t *testing.T) {
	namespace, kafka := newNamespace(t), newKafka(t)
	p := newPipeline(namespace, kafka.ListenAddrs())
	p.Spec.Topic.DeletionPolicy = v1alpha1.TopicDelete
	startPipeline(t, p)
	change(t, p, func(p *v1alpha1.LogPipeline) { p.Spec.Topic.DeletionPolicy = v1alpha1.TopicRetain })
	await.NoError(t, func() error {
		if err := api.Get(t.Context(), client.ObjectKeyFromObject(p), p); err != nil || len(p.Finalizers) > 0 {
			return fmt.Errorf("finalizers are %v, %w", p.Finalizers, err)
		}
		return nil
	})
}

// remove deletes the pipeline and waits until it is gone.
func remove(t *testing.T, p *v1alpha1.LogPipeline) {
	t.Helper()
	status := p.Status
	if err := api.Delete(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	awaitGone(t, p.DeepCopy())
	p.Status = status
}

func awaitEvent(t *testing.T, namespace, reason string) {
	t.Helper()
	await.NoError(t, func() error {
		var events eventsv1.EventList
		if err := api.List(t.Context(), &events, client.InNamespace(namespace)); err != nil {
			return err
		}
		var seen []string
		for _, event := range events.Items {
			if event.Reason == reason {
				return nil
			}
			seen = append(seen, event.Reason)
		}
		return fmt.Errorf("no event %s in %v", reason, seen)
	})
}
