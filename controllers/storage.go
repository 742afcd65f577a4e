package controllers

import (
	"context"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/logpipeline/logpipeline/api/v1alpha1"
)

// storageSeen is the claim that the consumers write to.
type storageSeen struct {
	// claimName is empty where segments are not stored in a claim.
	claimName string
	// claim is nil while there is none.
	claim *corev1.PersistentVolumeClaim
}

// ready tells whether pods can have their storage, or nobody but the cluster
// has to do something for that.
func (s storageSeen) ready() bool {
	return s.claimName == "" || s.claim != nil && s.claim.Status.Phase == corev1.ClaimBound
}

// singleNode tells whether one node alone can mount the claim.
func (s storageSeen) singleNode() bool {
	return s.claim != nil && !slices.Contains(s.accessModes(), corev1.ReadWriteMany)
}

// accessModes are those of the volume once the claim is bound, and before it
// those that are asked for.
func (s storageSeen) accessModes() []corev1.PersistentVolumeAccessMode {
	if len(s.claim.Status.AccessModes) > 0 {
		return s.claim.Status.AccessModes
	}
	return s.claim.Spec.AccessModes
}

// readStorage reads the claim from the API server: claims are not watched,
// for there may be many and few are ours.
func (r *Reconciler) readStorage(ctx context.Context, p *v1alpha1.LogPipeline) (storageSeen, error) {
	spec := p.Spec.Storage.PersistentVolumeClaim
	if spec == nil {
		return storageSeen{}, nil
	}
	claim := &corev1.PersistentVolumeClaim{}
	err := r.Live.Get(ctx, client.ObjectKey{Namespace: p.Namespace, Name: spec.ClaimName}, claim)
	if apierrors.IsNotFound(err) {
		return storageSeen{claimName: spec.ClaimName}, nil
	}
	if err != nil {
		return storageSeen{}, fmt.Errorf("read PersistentVolumeClaim %q: %w", spec.ClaimName, err)
	}
	return storageSeen{claimName: spec.ClaimName, claim: claim}, nil
}

// checkRoom refuses room for more consumers than can mount the claim: those
// on other nodes would never start.
func checkRoom(p *v1alpha1.LogPipeline, storage storageSeen) error {
	asked, remedy := moreConsumers(p.Spec.Consumer.Scaling)
	if asked == "" || !storage.singleNode() {
		return nil
	}
	return fmt.Errorf("%s, but one node alone can mount PersistentVolumeClaim %q, whose access modes are %v: %s, or create another LogPipeline with a claim that is ReadWriteMany",
		asked, storage.claimName, storage.accessModes(), remedy)
}

// moreConsumers says what asks for more than one, and what would not; empty
// where nothing does.
func moreConsumers(scaling *v1alpha1.ConsumerScalingSpec) (asked, remedy string) {
	switch {
	case scaling == nil:
		return "", ""
	case scaling.External != nil:
		return "spec.consumer.scaling.external allows any number of consumers", "set spec.consumer.scaling.fixed.replicas to 1 instead"
	case scaling.Fixed != nil && scaling.Fixed.Replicas > 1:
		return fmt.Sprintf("spec.consumer.scaling.fixed.replicas is %d", scaling.Fixed.Replicas), "set it to 1"
	case scaling.Auto != nil && scaling.Auto.MaxReplicas > 1:
		return fmt.Sprintf("spec.consumer.scaling.auto.maxReplicas is %d", scaling.Auto.MaxReplicas), "set it to 1"
	default:
		return "", ""
	}
}
