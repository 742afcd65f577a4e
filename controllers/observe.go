package controllers

import (
	"context"
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/logpipeline/logpipeline/controllers/resources"
)

// childrenSeen is what runs.
type childrenSeen struct {
	ingester deploymentSeen
	consumer deploymentSeen
}

// deploymentSeen is a Deployment of the pipeline as it was read.
type deploymentSeen struct {
	// live is nil while there is none that the pipeline controls.
	live *appsv1.Deployment
	// changed is true when this pass has applied it, so that live tells of
	// what was before.
	changed bool
}

// storageSeen is the claim that the consumers write to.
type storageSeen struct {
	// claimName is empty for ephemeral storage.
	claimName string
	// claim is nil while there is none.
	claim *corev1.PersistentVolumeClaim
}

// ready tells whether pods can have their storage, or nobody but the cluster
// has to do something for that.
func (s storageSeen) ready() bool {
	return s.claimName == "" || s.claim != nil && s.claim.Status.Phase == corev1.ClaimBound
}

// observe reads what runs and what it stores to.
func (r *Reconciler) observe(ctx context.Context, p *pass) (err error) {
	if p.children.ingester.live, err = r.readDeployment(ctx, p, resources.IngesterName(p.pipeline)); err != nil {
		return err
	}
	if p.children.consumer.live, err = r.readDeployment(ctx, p, resources.ConsumerName(p.pipeline)); err != nil {
		return err
	}
	p.storage, err = r.readStorage(ctx, p)
	return err
}

func (r *Reconciler) readDeployment(ctx context.Context, p *pass, name string) (*appsv1.Deployment, error) {
	live := &appsv1.Deployment{}
	err := r.Client.Get(ctx, client.ObjectKey{Namespace: p.pipeline.Namespace, Name: name}, live)
	if apierrors.IsNotFound(err) || err == nil && !metav1.IsControlledBy(live, p.pipeline) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read Deployment %q: %w", name, err)
	}
	return live, nil
}

// readStorage reads the claim from the API server: claims are not watched,
// for there may be many and few are ours.
func (r *Reconciler) readStorage(ctx context.Context, p *pass) (storageSeen, error) {
	spec := p.pipeline.Spec.Storage.PersistentVolumeClaim
	if spec == nil {
		return storageSeen{}, nil
	}
	claim := &corev1.PersistentVolumeClaim{}
	err := r.Live.Get(ctx, client.ObjectKey{Namespace: p.pipeline.Namespace, Name: spec.ClaimName}, claim)
	if apierrors.IsNotFound(err) {
		return storageSeen{claimName: spec.ClaimName}, nil
	}
	if err != nil {
		return storageSeen{}, fmt.Errorf("read PersistentVolumeClaim %q: %w", spec.ClaimName, err)
	}
	return storageSeen{claimName: spec.ClaimName, claim: claim}, nil
}
