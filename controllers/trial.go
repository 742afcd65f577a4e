package controllers

import (
	"context"
	"fmt"
	"maps"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/logpipeline/logpipeline/api/v1alpha1"
	"github.com/logpipeline/logpipeline/controllers/resources"
)

// tryDeployment asks the API server whether it takes a Deployment, before the
// configuration changes that comes with it: where it does not, the pods stay, and
// one of them that restarts would read what its volumes and limits do not fit. It
// asks nothing where the configuration stays, or nothing runs yet.
func (r *Reconciler) tryDeployment(ctx context.Context, owner *v1alpha1.LogPipeline, want resources.Role) error {
	name := *want.Deployment.GetName()
	config, err := readControlled[corev1.ConfigMap](ctx, r.Client, owner, name)
	if err != nil || config == nil || maps.Equal(config.Data, want.ConfigMap.Data) {
		return err
	}
	live, err := readControlled[appsv1.Deployment](ctx, r.Client, owner, name)
	if err != nil || live == nil {
		return err
	}
	desired, err := copyOfDeployment(want.Deployment)
	if err != nil {
		return err
	}
	err = r.Client.Apply(ctx, desired, client.FieldOwner(fieldManager), client.ForceOwnership, client.DryRunAll)
	if apierrors.IsInvalid(err) {
		err = r.tryOver(ctx, want, live.DeepCopy())
	}
	if err != nil {
		return fmt.Errorf("apply Deployment %q: %w", name, err) // in the words of apply
	}
	return nil
}

// tryOver is the trial of applyOver.
func (r *Reconciler) tryOver(ctx context.Context, want resources.Role, live *appsv1.Deployment) error {
	document, err := overwriting(want.Deployment)
	if err != nil {
		return err
	}
	return r.Client.Patch(ctx, live, client.RawPatch(types.MergePatchType, document), client.FieldOwner(fieldManager), client.DryRunAll)
}
