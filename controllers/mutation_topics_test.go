package controllers

import (
	"maps"
	"strings"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"k8s.io/utils/ptr"

	"github.com/logpipeline/logpipeline/api/v1alpha1"
	"github.com/logpipeline/logpipeline/controllers/resources"
)

// topicState is a topic as it is in Kafka.
type topicState struct {
	ID         string
	Partitions int
	Config     map[string]string
}

// topicsOf are the topics that a pipeline uses, by name, as far as they exist.
func (s surroundings) topicsOf(p *v1alpha1.LogPipeline) map[string]topicState {
	found := map[string]topicState{}
	for _, name := range []string{resources.TopicName(p), resources.DeadLetterTopicName(p)} {
		topic := s.kafka.TopicInfo(name)
		if topic == nil {
			continue
		}
		config := map[string]string{}
		for key, value := range topic.Configs {
			config[key] = ptr.Deref(value, "")
		}
		found[name] = topicState{uuid.UUID(topic.TopicID).String(), len(s.kafka.PartitionInfos(name)), config}
	}
	return found
}

// checkTopics compares the topics of a pipeline that runs with its spec, and in
// what that doesn't name with what they were: a new pipeline would take them
// over as they are, so that it knows nothing of a change that was not made.
func (m *mutant) checkTopics() {
	is, want := m.topicsOf(m.p), map[string]topicState{}
	topic := m.p.Spec.Topic
	m.wantTopic(is, want, resources.TopicName(m.p), topic.Management, topic.Partitions, topic.Config)
	if letters := m.p.Spec.DeadLetter.Topic; letters != nil {
		m.wantTopic(is, want, resources.DeadLetterTopicName(m.p), letters.Management, letters.Partitions, letters.Config)
	}
	if diff := cmp.Diff(want, is); diff != "" {
		m.Fatalf("its topics are not what its spec asks for, -want +is\n%s\nspec %v", diff, m.spec)
	}
	name := resources.TopicName(m.p)
	said := v1alpha1.TopicStatus{
		Name: name, ID: want[name].ID, ClusterID: m.p.Status.Topic.ClusterID, Created: name != "theirs", Partitions: int32(want[name].Partitions),
	}
	if diff := cmp.Diff(said, *m.p.Status.Topic); diff != "" {
		m.Fatalf("its status does not tell of its topic, -want +said\n%s", diff)
	}
	maps.Copy(m.topics, is)
}

// wantTopic notes what a topic is to be. Of a new one, and of what the operator
// raises by itself, that is what it is.
func (m *mutant) wantTopic(is, want map[string]topicState, name string, management v1alpha1.TopicManagement, partitions *int32, config map[string]v1alpha1.TopicConfigValue) {
	state, known := m.topics[name]
	if !known {
		state = is[name]
	}
	state.Config = maps.Clone(state.Config)
	if management != v1alpha1.TopicExisting {
		state.Partitions = int(ptr.Deref(partitions, int32(state.Partitions)))
		const raised = "max.message.bytes"
		if now, set := is[name].Config[raised]; set {
			state.Config[raised] = now
		}
		for key, value := range config {
			if value := strings.TrimSpace(string(value)); value != "" {
				state.Config[key] = value
			}
		}
	}
	want[name] = state
}
