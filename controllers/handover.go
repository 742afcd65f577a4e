package controllers

import (
	"context"
	"encoding/json"
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	appsv1ac "k8s.io/client-go/applyconfigurations/apps/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/logpipeline/logpipeline/api/v1alpha1"
	"github.com/logpipeline/logpipeline/controllers/resources"
)

// handOverManager owns spec.replicas of a Deployment between the operator and
// the autoscaler. A field that its last owner gives up falls back to its
// default, which is 1: so there is another owner before the operator leaves,
// until the autoscaler's first change takes the field over.
const handOverManager = "logpipeline-handover"

// handOver prepares a Deployment for an autoscaler, ours or the user's: its
// replicas stay as they are when the operator applies it without them. A new
// one, and one without any, as after a suspension, gets its first: an
// autoscaler rests at 0.
func (r *Reconciler) handOver(ctx context.Context, owner *v1alpha1.LogPipeline, want resources.Role) error {
	if want.Deployment.Spec.Replicas != nil {
		return nil
	}
	held, replicas, err := r.replicasHeld(ctx, owner, want)
	if err != nil || !held {
		return err
	}
	if replicas == 0 {
		replicas = want.FirstReplicas
	}
	between := appsv1ac.Deployment(*want.Deployment.GetName(), *want.Deployment.GetNamespace()).
		WithSpec(appsv1ac.DeploymentSpec().WithReplicas(replicas))
	if err := r.Client.Apply(ctx, between, client.FieldOwner(handOverManager), client.ForceOwnership); err != nil {
		return fmt.Errorf("hand over the replicas of Deployment %q: %w", *want.Deployment.GetName(), err)
	}
	r.replicasHandedOver(owner, *want.Deployment.GetName(), replicas)
	return nil
}

// takenBack tells of a Deployment whose replicas were somebody else's, as live
// says it was, and are now applied by the operator; that a suspended one has
// none is told otherwise.
func (r *Reconciler) takenBack(p *v1alpha1.LogPipeline, live *appsv1.Deployment, replicas *int32) {
	if replicas != nil && !p.Spec.Suspend && live.UID != "" && !holdsReplicas(live) {
		r.replicasTakenBack(p, live.Name, *replicas)
	}
}

// replicasHeld tells whether the operator owns the replicas, and how many they
// are, by the API server: the cache may be behind. A Deployment that is not
// there yet is made as the operator's.
func (r *Reconciler) replicasHeld(ctx context.Context, owner *v1alpha1.LogPipeline, want resources.Role) (held bool, replicas int32, err error) {
	live, key := &appsv1.Deployment{}, client.ObjectKey{Namespace: *want.Deployment.GetNamespace(), Name: *want.Deployment.GetName()}
	if exists, err := r.readChild(ctx, key, live); err != nil || exists && !holdsReplicas(live) {
		return false, 0, err
	}
	err = r.Live.Get(ctx, key, live)
	if apierrors.IsNotFound(err) {
		return true, 0, r.createHeld(ctx, want)
	}
	if err != nil {
		return false, 0, fmt.Errorf("read Deployment %q: %w", key.Name, err)
	}
	ours := metav1.IsControlledBy(live, owner) && live.DeletionTimestamp.IsZero()
	return ours && holdsReplicas(live), *live.Spec.Replicas, nil
}

func holdsReplicas(d *appsv1.Deployment) bool {
	applied, err := appsv1ac.ExtractDeployment(d, fieldManager)
	return err == nil && applied.Spec != nil && applied.Spec.Replicas != nil
}

// createHeld makes a Deployment with its first replicas. It applies a copy, for the client writes the answer into
// what it is given.
func (r *Reconciler) createHeld(ctx context.Context, want resources.Role) error {
	held, err := copyOfDeployment(want.Deployment)
	if err != nil {
		return err
	}
	held.Spec.WithReplicas(want.FirstReplicas)
	if err := r.Client.Apply(ctx, held, client.FieldOwner(fieldManager), client.ForceOwnership); err != nil {
		return fmt.Errorf("create Deployment %q: %w", *want.Deployment.GetName(), err)
	}
	return nil
}

func copyOfDeployment(d *appsv1ac.DeploymentApplyConfiguration) (*appsv1ac.DeploymentApplyConfiguration, error) {
	document, err := json.Marshal(d)
	if err != nil {
		return nil, fmt.Errorf("copy Deployment %q: %w", *d.GetName(), err)
	}
	copied := &appsv1ac.DeploymentApplyConfiguration{}
	return copied, json.Unmarshal(document, copied)
}
