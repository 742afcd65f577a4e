package controllers

import (
	"context"
	"encoding/json"
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/client-go/util/csaupgrade"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"

	"github.com/logpipeline/logpipeline/api/v1alpha1"
)

// fieldManager owns the fields that the operator sets.
const fieldManager = "logpipeline"

// applyConfiguration is what every generated apply configuration of a
// namespaced object offers.
type applyConfiguration interface {
	runtime.ApplyConfiguration
	GetName() *string
	GetNamespace() *string
}

// ensure returns what makes a child as desired; where none is, it removes the
// one of that name.
func ensure[C interface {
	comparable
	applyConfiguration
}, T client.Object](r *Reconciler, p *pass, name string, desired C, live T, extract func(T, string) (C, error)) func(context.Context) error {
	return func(ctx context.Context) error {
		if none := *new(C); desired == none {
			return r.prune(ctx, p.pipeline, name, live)
		}
		_, err := apply(ctx, r, p.pipeline, desired, live, extract)
		return err
	}
}

// prune removes a child that is not wanted, if there is one that the pipeline
// controls.
func (r *Reconciler) prune(ctx context.Context, owner *v1alpha1.LogPipeline, name string, live client.Object) error {
	err := r.Client.Get(ctx, client.ObjectKey{Namespace: owner.Namespace, Name: name}, live)
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err == nil && (!metav1.IsControlledBy(live, owner) || !live.GetDeletionTimestamp().IsZero()) {
		return nil
	}
	if err == nil {
		err = r.Client.Delete(ctx, live, client.Preconditions{UID: ptr.To(live.GetUID())})
	}
	if client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("remove %T %q, which is no longer wanted: %w", live, name, err)
	}
	return nil
}

// apply makes one object as desired, and tells whether it had to write. It
// compares what the operator has applied before with what it would apply now,
// so an object that is as desired costs no request, and fields of other
// managers are neither seen nor touched. An object that the pipeline does not
// control is left as it is, with a *foreignError. The live object is read into
// live.
func apply[C applyConfiguration, T client.Object](ctx context.Context, r *Reconciler, owner *v1alpha1.LogPipeline,
	desired C, live T, extract func(T, string) (C, error),
) (changed bool, err error) {
	key := client.ObjectKey{Namespace: *desired.GetNamespace(), Name: *desired.GetName()}
	gvk, err := apiutil.GVKForObject(live, r.Client.Scheme())
	if err != nil {
		return false, err
	}
	exists, err := r.readChild(ctx, key, live)
	if err != nil {
		return false, fmt.Errorf("read %s %q: %w", gvk.Kind, key.Name, err)
	}
	if exists {
		if !metav1.IsControlledBy(live, owner) {
			return false, &foreignError{gvk.Kind, key.Name}
		}
		if !live.GetDeletionTimestamp().IsZero() {
			return false, nil // made anew once it is gone, which is watched
		}
		applied, err := extract(live, fieldManager)
		if err != nil {
			return false, fmt.Errorf("extract applied fields of %s %q: %w", gvk.Kind, key.Name, err)
		}
		if equality.Semantic.DeepEqual(applied, desired) {
			return false, nil
		}
	}
	err = r.Client.Apply(ctx, desired, client.FieldOwner(fieldManager), client.ForceOwnership)
	if apierrors.IsInvalid(err) && exists {
		err = r.applyOver(ctx, desired, live)
	}
	if err != nil {
		return false, fmt.Errorf("apply %s %q: %w", gvk.Kind, key.Name, err)
	}
	return true, nil
}

// applyOver applies where others have put into our lists what cannot stand
// beside what is desired, such as a second port under the name of ours: a
// server-side apply keeps their entries, a merge patch replaces the lists. What
// the patch wrote counts as an update of ours, and what is owned by an update no
// apply takes out again: so it is made what we have applied.
func (r *Reconciler) applyOver(ctx context.Context, desired applyConfiguration, live client.Object) error {
	document, err := overwriting(desired)
	if err != nil {
		return err
	}
	patch := client.RawPatch(types.MergePatchType, document)
	if err := r.Client.Patch(ctx, live, patch, client.FieldOwner(fieldManager)); err != nil {
		return err
	}
	document, err = csaupgrade.UpgradeManagedFieldsPatch(live, sets.New(fieldManager), fieldManager)
	if err == nil && document != nil {
		err = r.Client.Patch(ctx, live, client.RawPatch(types.JSONPatchType, document))
	}
	if err != nil {
		return err
	}
	return r.Client.Apply(ctx, desired, client.FieldOwner(fieldManager), client.ForceOwnership)
}

// overwriting is the merge patch that makes an object as desired. With the
// strategy Recreate it takes out the parameters of a rolling update, which stay
// where somebody else has applied them as well.
func overwriting(desired applyConfiguration) ([]byte, error) {
	document, err := json.Marshal(desired)
	if err != nil {
		return nil, err
	}
	var object map[string]any
	if err := json.Unmarshal(document, &object); err != nil {
		return nil, err
	}
	strategy, found, err := unstructured.NestedMap(object, "spec", "strategy")
	if err != nil || !found || strategy["type"] != string(appsv1.RecreateDeploymentStrategyType) {
		return document, err
	}
	strategy["rollingUpdate"] = nil
	if err := unstructured.SetNestedMap(object, strategy, "spec", "strategy"); err != nil {
		return nil, err
	}
	return json.Marshal(object)
}

// readChild reads an object from the cache, and from the API server where the
// cache has none: the cache holds only objects with our label, and applying
// over one that lacks it would adopt it.
func (r *Reconciler) readChild(ctx context.Context, key client.ObjectKey, live client.Object) (exists bool, err error) {
	err = r.Client.Get(ctx, key, live)
	if apierrors.IsNotFound(err) {
		err = r.Live.Get(ctx, key, live)
	}
	if apierrors.IsNotFound(err) {
		return false, nil
	}
	return err == nil, err
}
