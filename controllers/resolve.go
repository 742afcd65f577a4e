package controllers

import (
	"context"
	"fmt"
	"slices"

	"github.com/logpipeline/logpipeline/api/v1alpha1"
	"github.com/logpipeline/logpipeline/controllers/resources"
	"github.com/logpipeline/logpipeline/controllers/topics"
	"github.com/logpipeline/logpipeline/ingester/config"
)

// resolved is the spec with its defaults, checked as far as that goes without
// Kafka.
type resolved struct {
	configs resources.Configs
	topic   topics.Desired
	// deadLetter is the topic of dead letters; nil where there is none.
	deadLetter *topics.Desired
	// secrets that the spec names.
	secrets secrets
}

// resolve completes and checks the spec, and the claim and the Secrets that it
// names.
func (r *Reconciler) resolve(ctx context.Context, p *pass) (err error) {
	if p.storage, err = r.readStorage(ctx, p.pipeline); err != nil {
		return err
	}
	configs, err := resources.Config(p.pipeline)
	if err != nil {
		return &failure{v1alpha1.ConditionReady, v1alpha1.ReasonInvalidSpec, true, err}
	}
	p.resolved = resolved{
		configs:    configs,
		topic:      desiredTopic(p.pipeline, configs.Ingester),
		deadLetter: desiredDeadLetter(p.pipeline, configs.Ingester),
	}
	if err := checkRoom(p.pipeline, p.storage); err != nil {
		return &failure{v1alpha1.ConditionStorageReady, v1alpha1.ReasonClaimSingleNode, true, err}
	}
	p.resolved.secrets, err = r.readSecrets(ctx, p.pipeline)
	return err
}

func desiredTopic(p *v1alpha1.LogPipeline, c config.Config) topics.Desired {
	spec := p.Spec.Topic
	desired := topics.Desired{
		Name:         c.Topic,
		Managed:      spec.Management != v1alpha1.TopicExisting,
		MessageBytes: c.TopicMaxMessageBytes(),
		Config:       map[string]string{},
	}
	if spec.Partitions != nil {
		desired.Partitions = *spec.Partitions
	}
	if spec.ReplicationFactor != nil {
		desired.ReplicationFactor = *spec.ReplicationFactor
	}
	for key, value := range spec.Config {
		desired.Config[key] = string(value)
	}
	if seen := p.Status.Topic; seen != nil {
		desired.Known = topics.Identity{ClusterID: seen.ClusterID, ID: seen.ID}
	}
	return desired
}

// What a topic of dead letters is where the spec doesn't say: letters are few,
// and each has headers that say what became of it.
const (
	deadLetterPartitions  = 1
	deadLetterHeaderBytes = 64 << 10
)

func desiredDeadLetter(p *v1alpha1.LogPipeline, c config.Config) *topics.Desired {
	spec := p.Spec.DeadLetter.Topic
	if spec == nil {
		return nil
	}
	desired := &topics.Desired{
		Name:          c.DeadLetter.Topic,
		Managed:       spec.Management != v1alpha1.TopicExisting,
		NewPartitions: deadLetterPartitions,
		MessageBytes:  c.TopicMaxMessageBytes() + deadLetterHeaderBytes,
		Config:        map[string]string{},
	}
	if spec.Partitions != nil {
		desired.Partitions = *spec.Partitions
	}
	if spec.ReplicationFactor != nil {
		desired.ReplicationFactor = *spec.ReplicationFactor
	}
	for key, value := range spec.Config {
		desired.Config[key] = string(value)
	}
	return desired
}

// yieldToElder refuses a topic that an elder pipeline has: two would store
// its records in two places, and one could delete it under the other.
func (r *Reconciler) yieldToElder(ctx context.Context, p *pass) error {
	sharing, err := r.withTopic(ctx, resources.TopicName(p.pipeline))
	if err != nil {
		return err
	}
	for i := range sharing {
		other := &sharing[i]
		if elder(other, p.pipeline) && p.sharesTopicWith(other) {
			return &failure{v1alpha1.ConditionTopicReady, v1alpha1.ReasonTopicTaken, true, fmt.Errorf(
				"topic %q belongs to the elder LogPipeline %s/%s: choose another topic.name in a new LogPipeline, or delete that one",
				resources.TopicName(p.pipeline), other.Namespace, other.Name)}
		}
	}
	return nil
}

// elder orders pipelines by creation, namespace and name.
func elder(a, b *v1alpha1.LogPipeline) bool {
	if !a.CreationTimestamp.Equal(&b.CreationTimestamp) {
		return a.CreationTimestamp.Before(&b.CreationTimestamp)
	}
	return a.Namespace < b.Namespace || a.Namespace == b.Namespace && a.Name < b.Name
}

// sharesTopicWith compares the name, and the cluster by what is known of it:
// its id when both have been seen, an address that both use otherwise.
func (p *pass) sharesTopicWith(other *v1alpha1.LogPipeline) bool {
	if resources.TopicName(p.pipeline) != resources.TopicName(other) {
		return false
	}
	if cluster := p.clusterID(); cluster != "" && other.Status.Topic != nil {
		return cluster == other.Status.Topic.ClusterID
	}
	return slices.ContainsFunc(p.pipeline.Spec.Kafka.BootstrapServers, func(server string) bool {
		return slices.Contains(other.Spec.Kafka.BootstrapServers, server)
	})
}

// clusterID is the Kafka cluster as seen now or before.
func (p *pass) clusterID() string {
	if p.topic.topic.ClusterID == "" && p.pipeline.Status.Topic != nil {
		return p.pipeline.Status.Topic.ClusterID
	}
	return p.topic.topic.ClusterID
}
