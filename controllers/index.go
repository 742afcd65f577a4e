package controllers

import (
	"context"
	"fmt"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/logpipeline/logpipeline/api/v1alpha1"
	"github.com/logpipeline/logpipeline/controllers/resources"
)

// topicIndex finds pipelines by the name of their topic, for every reconcile
// asks who else has it: without it, each would look at all pipelines.
const topicIndex = "topic"

func indexTopics(ctx context.Context, indexer client.FieldIndexer) error {
	return indexer.IndexField(ctx, &v1alpha1.LogPipeline{}, topicIndex, func(object client.Object) []string {
		return []string{resources.TopicName(object.(*v1alpha1.LogPipeline))}
	})
}

// withTopic returns the pipelines of all namespaces whose topic has that name,
// on whatever cluster. They belong to the cache.
func (r *Reconciler) withTopic(ctx context.Context, topic string) ([]v1alpha1.LogPipeline, error) {
	var sharing v1alpha1.LogPipelineList
	err := r.Client.List(ctx, &sharing, client.MatchingFields{topicIndex: topic}, client.UnsafeDisableDeepCopy)
	if err != nil {
		return nil, fmt.Errorf("list LogPipelines with topic %q: %w", topic, err)
	}
	return sharing.Items, nil
}
