package controllers

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/logpipeline/logpipeline/api/v1alpha1"
)

func withDeadLetters(namespace string, kafka *kfake.Cluster, topic v1alpha1.DeadLetterTopicSpec) *v1alpha1.LogPipeline {
	p := newPipeline(namespace, kafka.ListenAddrs())
	p.Spec.DeadLetter.Topic = &topic
	return p
}

// partitionsOf returns how many partitions a topic has; none where there is no
// such topic.
func partitionsOf(kafka *kfake.Cluster, topic string) int { return len(kafka.PartitionInfos(topic)) }

func TestDeadLetterTopicIsMadeAndGrown(t *testing.T) {
	namespace, kafka := newNamespace(t), newKafka(t)
	p := withDeadLetters(namespace, kafka, v1alpha1.DeadLetterTopicSpec{Config: map[string]v1alpha1.TopicConfigValue{"retention.ms": "1000"}})
	startPipeline(t, p)
	name := namespace + ".orders.dead-letter"
	if n := partitionsOf(kafka, name); n != 1 {
		t.Errorf("it has %d partitions, want 1", n)
	}
	if got := kafka.TopicInfo(name).Configs["retention.ms"]; got == nil || *got != "1000" {
		t.Errorf("retention.ms is %v", got)
	}
	awaitEvent(t, namespace, "TopicCreated")

	change(t, p, func(p *v1alpha1.LogPipeline) { p.Spec.DeadLetter.Topic.Partitions = ptr.To[int32](3) })
	awaitRunning(t, p)
	if n := partitionsOf(kafka, name); n != 3 {
		t.Errorf("it has %d partitions, want 3", n)
	}
	// Left out again, it stays as it is.
	change(t, p, func(p *v1alpha1.LogPipeline) { p.Spec.DeadLetter.Topic.Partitions = nil })
	awaitRunning(t, p)
	if n := partitionsOf(kafka, name); n != 3 {
		t.Errorf("it has %d partitions, want 3", n)
	}
}

// A pipeline that doesn't say how many partitions there are takes the topic as
// it is.
func TestWiderDeadLetterTopicIsTaken(t *testing.T) {
	namespace, kafka := newNamespace(t), newKafka(t)
	if err := kafka.CreateTopic("letters", 6, nil); err != nil {
		t.Fatal(err)
	}
	startPipeline(t, withDeadLetters(namespace, kafka, v1alpha1.DeadLetterTopicSpec{Name: "letters"}))
	if n := partitionsOf(kafka, "letters"); n != 6 {
		t.Errorf("it has %d partitions, want 6", n)
	}
}

func TestDeadLetterTopicThatFails(t *testing.T) {
	tests := map[string]struct {
		topic   v1alpha1.DeadLetterTopicSpec
		before  func(t *testing.T, kafka *kfake.Cluster)
		stalled bool
		says    string
	}{
		"existing, and missing": {
			topic: v1alpha1.DeadLetterTopicSpec{Management: v1alpha1.TopicExisting, Name: "letters"},
			says:  `dead letters: topic "letters" does not exist and deadLetter.topic.management is Existing: create it, or use Managed`,
		},
		"fewer partitions than there are": {
			topic: v1alpha1.DeadLetterTopicSpec{Name: "letters", Partitions: ptr.To[int32](2)},
			before: func(t *testing.T, kafka *kfake.Cluster) {
				if err := kafka.CreateTopic("letters", 6, nil); err != nil {
					t.Fatal(err)
				}
			},
			stalled: true,
			says:    `dead letters: topic "letters" has 6 partitions and deadLetter.topic.partitions is 2: raise it to 6 or more`,
		},
		"more replicas than brokers": {
			topic: v1alpha1.DeadLetterTopicSpec{ReplicationFactor: ptr.To[int32](3)},
			says:  "start more brokers, or lower deadLetter.topic.replicationFactor",
		},
		"refused": {
			topic:  v1alpha1.DeadLetterTopicSpec{Name: "letters"},
			before: func(_ *testing.T, kafka *kfake.Cluster) { refuseToCreate(kafka, "letters") },
			says:   `the operator needs the right Create on topic "letters"`,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			namespace, kafka := newNamespace(t), newKafka(t)
			if test.before != nil {
				test.before(t, kafka)
			}
			p := withDeadLetters(namespace, kafka, test.topic)
			create(t, p)
			failed := awaitCondition(t, p, v1alpha1.ConditionTopicReady, metav1.ConditionFalse, v1alpha1.ReasonDeadLetterTopicFailed)
			expect(t, fmt.Errorf("%s", failed.Message), test.says)
			awaitCondition(t, p, v1alpha1.ConditionKafkaReachable, metav1.ConditionTrue, v1alpha1.ReasonBrokersAnswered)
			want := "Retrying " + v1alpha1.ReasonDeadLetterTopicFailed
			if test.stalled {
				want = "Stalled " + v1alpha1.ReasonDeadLetterTopicFailed
			}
			got, err := rested(p)
			if diff := cmp.Diff(want, got); diff != "" || err != nil {
				t.Errorf("%v, -want +got\n%s", err, diff)
			}
		})
	}
}

// refuseToCreate has a Kafka give nobody the right to create a topic.
func refuseToCreate(kafka *kfake.Cluster, name string) {
	kafka.ControlKey(int16(kmsg.CreateTopics), func(request kmsg.Request) (kmsg.Response, error, bool) {
		kafka.KeepControl()
		asked := request.(*kmsg.CreateTopicsRequest)
		if len(asked.Topics) != 1 || !strings.HasPrefix(asked.Topics[0].Topic, name) {
			return nil, nil, false
		}
		response := request.ResponseKind().(*kmsg.CreateTopicsResponse)
		refused := kmsg.NewCreateTopicsResponseTopic()
		refused.Topic, refused.ErrorCode = asked.Topics[0].Topic, 29 // TOPIC_AUTHORIZATION_FAILED
		response.Topics = append(response.Topics, refused)
		return response, nil, true
	})
}
