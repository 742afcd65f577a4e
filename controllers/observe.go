package controllers

import (
	"context"
	"fmt"
	"reflect"

	appsv1 "k8s.io/api/apps/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/logpipeline/logpipeline/api/v1alpha1"
	"github.com/logpipeline/logpipeline/controllers/resources"
	"github.com/logpipeline/logpipeline/controllers/scaling"
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
	// trouble is why pods are missing, as far as that is known.
	trouble podTrouble
	// told is what consumers say of themselves; of partitions that stopped, while
	// not all are ready.
	told scaling.Trouble
}

// incomplete tells whether pods are missing, or too many.
func (d deploymentSeen) incomplete() bool { return d.live != nil && !rolledOut(d.live) }

// unexplained tells whether pods are missing and nobody has said why yet.
func (d deploymentSeen) unexplained() bool {
	return d.incomplete() && d.trouble == podTrouble{} && d.told == scaling.Trouble{}
}

// observe reads what runs.
func (r *Reconciler) observe(ctx context.Context, p *pass) (err error) {
	if p.children.ingester.live, err = r.readDeployment(ctx, p, resources.IngesterName(p.pipeline)); err != nil {
		return err
	}
	if p.children.consumer.live, err = r.readDeployment(ctx, p, resources.ConsumerName(p.pipeline)); err != nil {
		return err
	}
	if err = r.observePods(ctx, p, resources.IngesterComponent, &p.children.ingester); err != nil {
		return err
	}
	if err = r.observePods(ctx, p, resources.ConsumerComponent, &p.children.consumer); err != nil {
		return err
	}
	if p.children.consumer.live != nil {
		p.children.consumer.told = r.Autoscaling.troubleOf(p.pipeline)
	}
	if !p.children.consumer.incomplete() {
		p.children.consumer.told.Stopped = scaling.Quote{}
	}
	p.autoscaling, err = r.Autoscaling.observe(ctx, p.pipeline, p.partitions())
	return err
}

func (r *Reconciler) readDeployment(ctx context.Context, p *pass, name string) (*appsv1.Deployment, error) {
	return readControlled[appsv1.Deployment](ctx, r.Client, p.pipeline, name)
}

// readControlled reads an object; it is nil where there is none that the owner
// controls.
func readControlled[T any, O interface {
	*T
	client.Object
}](ctx context.Context, from client.Reader, owner *v1alpha1.LogPipeline, name string) (O, error) {
	live := O(new(T))
	err := from.Get(ctx, client.ObjectKey{Namespace: owner.Namespace, Name: name}, live)
	if apierrors.IsNotFound(err) || err == nil && !metav1.IsControlledBy(live, owner) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read %s %q: %w", reflect.TypeFor[T]().Name(), name, err)
	}
	return live, nil
}
