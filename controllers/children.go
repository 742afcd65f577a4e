package controllers

import (
	"context"
	"errors"
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	appsv1ac "k8s.io/client-go/applyconfigurations/apps/v1"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"

	"github.com/logpipeline/logpipeline/api/v1alpha1"
	"github.com/logpipeline/logpipeline/controllers/resources"
)

// applyChildren makes the pipeline's objects as they are wanted.
func (r *Reconciler) applyChildren(ctx context.Context, p *pass) error {
	children, err := resources.Build(resources.Input{
		Pipeline:   p.pipeline,
		Configs:    p.resolved.configs,
		Partitions: p.partitions(),
		SingleNode: p.storage.singleNode(),
		Image:      r.Image,
	})
	if err != nil {
		return err
	}
	if err := r.applyIngester(ctx, p, children); err != nil {
		return childFailure(v1alpha1.ConditionIngesterAvailable, err)
	}
	if err := r.applyConsumer(ctx, p, children); err != nil {
		return childFailure(v1alpha1.ConditionConsumerAvailable, err)
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

func (r *Reconciler) applyIngester(ctx context.Context, p *pass, want resources.Children) error {
	if _, err := apply(ctx, r, p.pipeline, want.Service, &corev1.Service{}, corev1ac.ExtractService); err != nil {
		return err
	}
	changed, err := r.applyRole(ctx, p, want.Ingester)
	p.children.ingester.changed = changed
	return err
}

func (r *Reconciler) applyConsumer(ctx context.Context, p *pass, want resources.Children) error {
	changed, err := r.applyRole(ctx, p, want.Consumer)
	p.children.consumer.changed = changed
	return err
}

// applyRole tells whether the Deployment was changed.
func (r *Reconciler) applyRole(ctx context.Context, p *pass, want resources.Role) (bool, error) {
	if _, err := apply(ctx, r, p.pipeline, want.ServiceAccount, &corev1.ServiceAccount{}, corev1ac.ExtractServiceAccount); err != nil {
		return false, err
	}
	if _, err := apply(ctx, r, p.pipeline, want.ConfigMap, &corev1.ConfigMap{}, corev1ac.ExtractConfigMap); err != nil {
		return false, err
	}
	return apply(ctx, r, p.pipeline, want.Deployment, &appsv1.Deployment{}, appsv1ac.ExtractDeployment)
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
