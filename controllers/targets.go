package controllers

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/google/uuid"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/logpipeline/logpipeline/api/v1alpha1"
	"github.com/logpipeline/logpipeline/controllers/resources"
	"github.com/logpipeline/logpipeline/controllers/scaling"
	"github.com/logpipeline/logpipeline/controllers/topics"
	"github.com/logpipeline/logpipeline/ingester/config"
)

// +kubebuilder:rbac:groups="",resources=pods,verbs=get;list;watch

// Targets returns what tells a collector which pipelines to look after: all
// that have a topic and somebody looks at, whether they are scaled or not, for
// people want to know too; and those being deleted, until they are gone. It
// needs no lease, writes nothing and is for one caller.
func (r *Reconciler) Targets() scaling.Targets {
	return (&follower{reconciler: r, known: map[types.UID]*followed{}}).targets
}

// follower remembers of the pipelines what it takes a request, or some work, to
// know.
type follower struct {
	reconciler *Reconciler
	known      map[types.UID]*followed
}

// followed is how a pipeline's load is read.
type followed struct {
	generation int64
	configs    resources.Configs
	connection topics.Connection
	// until is how long that holds; then the Secrets are read anew.
	until time.Time
}

const (
	// clientID names the collector in the brokers' logs and quotas. It is the
	// same for all pipelines, which then share the connections to a cluster.
	clientID = "logpipeline-operator"
	// secretsTimeout bounds the reading of Secrets in one round; what had no
	// turn has it in the next.
	secretsTimeout = 10 * time.Second
)

func (f *follower) targets(ctx context.Context) ([]scaling.Target, error) {
	var pipelines v1alpha1.LogPipelineList
	if err := f.reconciler.Client.List(ctx, &pipelines, client.UnsafeDisableDeepCopy); err != nil {
		return nil, fmt.Errorf("list LogPipelines: %w", err)
	}
	pods, err := f.reconciler.podsByRole(ctx)
	if err != nil {
		return nil, err
	}
	followed := f.followAll(ctx, pipelines.Items)
	var targets []scaling.Target
	for i := range pipelines.Items {
		p := &pipelines.Items[i]
		known := followed[p.UID]
		if known == nil {
			continue
		}
		target := known.target(p)
		target.Ingesters = pods[podRole{p.Namespace, p.Name, resources.IngesterComponent}]
		target.Consumers = pods[podRole{p.Namespace, p.Name, resources.ConsumerComponent}]
		if err := f.reconciler.countPods(ctx, p, &target); err != nil {
			return nil, err
		}
		targets = append(targets, target)
	}
	return targets, nil
}

// followAll forgets all other pipelines.
func (f *follower) followAll(ctx context.Context, pipelines []v1alpha1.LogPipeline) map[types.UID]*followed {
	ctx, cancel := context.WithTimeout(ctx, secretsTimeout)
	defer cancel()
	kept := map[types.UID]*followed{}
	for i := range pipelines {
		p := &pipelines[i]
		if unobserved(p) || p.Status.Topic == nil {
			continue
		}
		if known := f.follow(ctx, p); known != nil {
			kept[p.UID] = known
		}
	}
	f.known = kept
	return kept
}

// follow returns nil for a pipeline whose load cannot be read. One that could
// be read before is read as it was while its spec, or a Secret, is not in
// order: what runs goes on as well. The reconciler tells people of that.
func (f *follower) follow(ctx context.Context, p *v1alpha1.LogPipeline) *followed {
	known, now := f.known[p.UID], f.reconciler.Now()
	if known != nil && known.generation == p.Generation && now.Before(known.until) {
		return known
	}
	configs, err := resources.Config(p)
	if err != nil {
		return known
	}
	read, err := f.reconciler.readSecretsOf(ctx, p, adminField(p))
	if err != nil {
		return known
	}
	return &followed{p.Generation, configs, connection(p, read), now.Add(resyncEvery + rand.N(resyncEvery/5))}
}

// target is all but the pods.
func (f *followed) target(p *v1alpha1.LogPipeline) scaling.Target {
	t := scaling.Target{
		Pipeline: sampled(p),
		Kafka: config.Kafka{
			BootstrapServers: slices.Compact(slices.Sorted(slices.Values(f.connection.BootstrapServers))),
			ClientID:         clientID,
			TLS:              f.connection.TLS,
			SASL:             f.connection.SASL,
		},
		Credentials: f.connection.Credentials,
		Topic:       p.Status.Topic.Name,
		Group:       f.configs.Consumer.Consumer.Group,
	}
	// One that cannot be read is not known.
	t.TopicID, _ = uuid.Parse(p.Status.Topic.ID)
	if auto := ingesterAuto(p); auto != nil {
		t.QueueTargetBytes = resources.QueueTargetBytes(auto, f.configs.Ingester)
	}
	if auto := consumerAuto(p); auto != nil {
		for _, target := range resources.ConsumerTargets(auto, f.configs.Consumer) {
			if target.Type == v1alpha1.TargetDelaySeconds {
				t.DelayTarget = time.Duration(target.Value) * time.Second
			}
		}
	}
	return t
}

func ingesterAuto(p *v1alpha1.LogPipeline) *v1alpha1.IngesterAutoScaling {
	if p.Spec.Ingester.Scaling == nil {
		return nil
	}
	return p.Spec.Ingester.Scaling.Auto
}

func consumerAuto(p *v1alpha1.LogPipeline) *v1alpha1.ConsumerAutoScaling {
	if p.Spec.Consumer.Scaling == nil {
		return nil
	}
	return p.Spec.Consumer.Scaling.Auto
}

// countPods tells what the Deployments say of their pods.
func (r *Reconciler) countPods(ctx context.Context, p *v1alpha1.LogPipeline, t *scaling.Target) error {
	ingester, err := r.readDeployment(ctx, &pass{pipeline: p}, resources.IngesterName(p))
	if err != nil {
		return err
	}
	consumer, err := r.readDeployment(ctx, &pass{pipeline: p}, resources.ConsumerName(p))
	if err != nil {
		return err
	}
	if ingester != nil {
		t.IngesterReplicas = int(ingester.Status.Replicas)
	}
	t.RollingOut = consumer != nil && replacing(consumer)
	return nil
}

// replacing tells whether there still are pods of an earlier template. That
// more of them come, or some go, replaces none.
func replacing(d *appsv1.Deployment) bool { return d.Status.UpdatedReplicas < d.Status.Replicas }

// podRole is what a pod is of which pipeline.
type podRole struct{ namespace, pipeline, component string }

// podsByRole are all pods in the cache that have not ended.
func (r *Reconciler) podsByRole(ctx context.Context) (map[podRole][]scaling.Pod, error) {
	var all corev1.PodList
	err := r.Client.List(ctx, &all, client.UnsafeDisableDeepCopy, ours)
	if err != nil {
		return nil, fmt.Errorf("list pods: %w", err)
	}
	pods := map[podRole][]scaling.Pod{}
	for i := range all.Items {
		pod := &all.Items[i]
		if ended(pod) {
			continue
		}
		pipeline, component := resources.PodOf(pod.Labels)
		key := podRole{pod.Namespace, pipeline, component}
		pods[key] = append(pods[key], scaling.Pod{
			Name:        pod.Name,
			Address:     resources.AdminAddress(pod.Status.PodIP),
			Starting:    pod.Status.PodIP == "" || !podReady(pod),
			Terminating: pod.DeletionTimestamp != nil,
		})
	}
	return pods, nil
}
