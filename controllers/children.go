package controllers

import (
	"context"
	"errors"
	"fmt"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	appsv1ac "k8s.io/client-go/applyconfigurations/apps/v1"
	autoscalingv2ac "k8s.io/client-go/applyconfigurations/autoscaling/v2"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"
	networkingv1ac "k8s.io/client-go/applyconfigurations/networking/v1"
	policyv1ac "k8s.io/client-go/applyconfigurations/policy/v1"

	"github.com/logpipeline/logpipeline/api/v1alpha1"
	"github.com/logpipeline/logpipeline/controllers/resources"
)

// applyChildren makes the pipeline's objects as they are wanted, and removes
// those that no longer are.
func (r *Reconciler) applyChildren(ctx context.Context, p *pass) error {
	server, err := r.Autoscaling.Server(ctx, p.pipeline)
	if err != nil {
		return err
	}
	want, err := resources.Build(resources.Input{
		Pipeline:          p.pipeline,
		Configs:           p.resolved.configs,
		Draining:          p.stopping.consumers,
		Partitions:        p.partitions(),
		SingleNode:        p.storage.singleNode(),
		Image:             r.Image,
		Release:           r.Release,
		OperatorNamespace: r.Namespace,
		Server:            server,
	})
	if err != nil {
		return err
	}
	if err := r.planRollout(ctx, p, want); err != nil {
		return err
	}
	for _, step := range r.steps(p, want) {
		if err := step.make(ctx); err != nil {
			return childFailure(step.condition, err)
		}
	}
	return nil
}

// partitions that the topic has, as far as is known.
func (p *pass) partitions() int32 {
	switch {
	case p.topic.topic.ID != "":
		return p.topic.topic.Partitions
	case p.pipeline.Status.Topic != nil:
		return p.pipeline.Status.Topic.Partitions
	default:
		return p.resolved.topic.Partitions
	}
}

// step makes one child. A failure concerns the condition.
type step struct {
	condition string
	make      func(context.Context) error
}

// steps are in the order in which they are taken.
func (r *Reconciler) steps(p *pass, want resources.Children) []step {
	ingester, consumer := resources.IngesterName(p.pipeline), resources.ConsumerName(p.pipeline)
	service := step{v1alpha1.ConditionIngesterAvailable, ensure(r, p, ingester, want.Service, &corev1.Service{}, corev1ac.ExtractService)}
	steps := append([]step{service}, r.roleSteps(p, ingester, v1alpha1.ConditionIngesterAvailable, want.Ingester, &p.children.ingester)...)
	return append(steps, r.roleSteps(p, consumer, v1alpha1.ConditionConsumerAvailable, want.Consumer, &p.children.consumer)...)
}

// roleSteps have a pod never wait for what it refers to, nor read at a restart
// the configuration of a spec that the API server refuses, and an autoscaler
// never meet a Deployment whose replicas are somebody else's: it comes after the
// Deployment, and goes before it.
func (r *Reconciler) roleSteps(p *pass, name, available string, want resources.Role, seen *deploymentSeen) []step {
	autoscaler := step{v1alpha1.ConditionAutoscalingActive,
		ensure(r, p, name, want.Autoscaler, &autoscalingv2.HorizontalPodAutoscaler{}, autoscalingv2ac.ExtractHorizontalPodAutoscaler)}
	deployment := step{available, func(ctx context.Context) (err error) {
		if err := r.handOver(ctx, p.pipeline, want); err != nil {
			return err
		}
		live, replicas := &appsv1.Deployment{}, want.Deployment.Spec.Replicas
		seen.changed, err = apply(ctx, r, p.pipeline, want.Deployment, live, appsv1ac.ExtractDeployment)
		if seen.changed && err == nil {
			r.takenBack(p.pipeline, live, replicas)
		}
		return err
	}}
	steps := []step{
		{available, ensure(r, p, name, want.ServiceAccount, &corev1.ServiceAccount{}, corev1ac.ExtractServiceAccount)},
		{available, ensure(r, p, name, want.NetworkPolicy, &networkingv1.NetworkPolicy{}, networkingv1ac.ExtractNetworkPolicy)},
		{available, ensure(r, p, name, want.Budget, &policyv1.PodDisruptionBudget{}, policyv1ac.ExtractPodDisruptionBudget)},
	}
	if !slices.Contains(p.rollout.configs, name) {
		steps = append(steps,
			step{available, func(ctx context.Context) error { return r.tryDeployment(ctx, p.pipeline, want) }},
			step{available, ensure(r, p, name, want.ConfigMap, &corev1.ConfigMap{}, corev1ac.ExtractConfigMap)})
	}
	if want.Autoscaler == nil {
		return append(steps, autoscaler, deployment)
	}
	return append(steps, deployment, autoscaler)
}

// foreignError is an object under a child's name that the pipeline does not
// control.
type foreignError struct{ kind, name string }

func (e *foreignError) Error() string {
	return fmt.Sprintf("%s %q exists and does not belong to this LogPipeline: delete or rename it", e.kind, e.name)
}

// childFailure tells what is wrong with a child. An object that the API
// server finds invalid comes from what the spec hands through, such as
// resources.
func childFailure(condition string, err error) *failure {
	if _, foreign := errors.AsType[*foreignError](err); foreign {
		return &failure{condition, v1alpha1.ReasonForeignObject, false, err}
	}
	if apierrors.IsInvalid(err) {
		return &failure{condition, v1alpha1.ReasonInvalidSpec, true, err}
	}
	return &failure{condition, v1alpha1.ReasonAPIError, false, err}
}
