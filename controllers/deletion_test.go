package controllers

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"github.com/logpipeline/logpipeline/api/v1alpha1"
	"github.com/logpipeline/logpipeline/controllers/topics"
	"github.com/logpipeline/logpipeline/test/await"
)

// Nothing needs the operator in order to go: the garbage collector finds every
// child by its owner.
func TestDeletedPipelineLeavesItsChildrenToTheGarbageCollector(t *testing.T) {
	p := newPipeline(newNamespace(t), newKafka(t).ListenAddrs())
	startPipeline(t, p)
	children := childrenOf(t, p)
	for name, child := range children {
		owner := metav1.GetControllerOf(child)
		if owner == nil || owner.UID != p.UID || owner.BlockOwnerDeletion == nil || !*owner.BlockOwnerDeletion {
			t.Errorf("the owner of %s is %+v", name, owner)
		}
	}
	remove(t, p)
	collectGarbage(t, p, children)
	expectNothingAnew(t, p)
}

// In the foreground, children go first, and the operator neither makes them
// anew nor gives up the topic.
func TestForegroundDeletion(t *testing.T) {
	kafka := newKafka(t)
	p := newPipeline(newNamespace(t), kafka.ListenAddrs())
	p.Spec.Topic.DeletionPolicy = v1alpha1.TopicDelete
	startPipeline(t, p)
	if err := api.Delete(t.Context(), p, client.PropagationPolicy(metav1.DeletePropagationForeground)); err != nil {
		t.Fatal(err)
	}
	awaitOnlyFinalizer(t, p, metav1.FinalizerDeleteDependents)
	if kafka.TopicInfo(p.Status.Topic.Name) != nil {
		t.Error("the topic is still there")
	}
	collectGarbage(t, p, childrenOf(t, p))
	expectNothingAnew(t, p)
	change(t, p, func(p *v1alpha1.LogPipeline) {
		controllerutil.RemoveFinalizer(p, metav1.FinalizerDeleteDependents)
	})
	awaitGone(t, p)
}

func TestDeletionGivesUpInTime(t *testing.T) {
	tests := map[string]func(t *testing.T, s surroundings){
		"Kafka is gone": func(_ *testing.T, s surroundings) { s.kafka.Close() },
		"the credentials are gone": func(t *testing.T, s surroundings) {
			if err := api.Delete(t.Context(), s.credentials(t, "credentials")); err != nil {
				t.Fatal(err)
			}
		},
	}
	for name, lose := range tests {
		t.Run(name, func(t *testing.T) {
			s := surround(t)
			p := newPipeline(s.namespace, []string{"127.0.0.1:" + s.port})
			p.Spec.Topic.DeletionPolicy = v1alpha1.TopicDelete
			startPipeline(t, p)
			change(t, p, func(p *v1alpha1.LogPipeline) { // the broker would not know it
				p.Spec.Kafka.Security.SASL = &v1alpha1.KafkaSASLSpec{
					Mechanism: "PLAIN", CredentialsSecretRef: v1alpha1.SecretReference{Name: "credentials"},
				}
			})
			lose(t, s)
			if err := api.Delete(t.Context(), p); err != nil {
				t.Fatal(err)
			}
			awaitDeleting(t, p)
			reconcileUntilGone(t, p, deleteTopicWithin)
			awaitEvent(t, s.namespace, "TopicRetained")
		})
	}
}

// Pipelines outlive their operator, and one that is deleted meanwhile waits for
// it where there is a topic to delete, or something to store: however long that
// takes, the time for it begins when the operator is back.
func TestPipelineDeletedWhileNoOperatorRuns(t *testing.T) {
	f := newFleet(t, 3)
	waiting, freed, drains := f.pipelines[0], f.pipelines[1], f.pipelines[2]
	drains.Spec.Consumer.DrainOnDelete = true
	for _, p := range f.pipelines {
		p.Spec.Topic.DeletionPolicy = v1alpha1.TopicDelete
		if err := f.api.Update(t.Context(), p); err != nil {
			t.Fatal(err)
		}
	}
	_, stop := f.run(t, "v1")
	f.settle(t, map[string]int{"v1": 6})
	await.NoError(t, func() error {
		f.play(t)
		if got := f.reasons(t, v1alpha1.ConditionReady); got[v1alpha1.ReasonRunning] != 3 {
			return fmt.Errorf("reasons of Ready are %v", got)
		}
		return nil
	})
	stop()
	for _, p := range f.pipelines {
		if err := f.api.Delete(t.Context(), p); err != nil {
			t.Fatal(err)
		}
		if err := f.api.Get(t.Context(), client.ObjectKeyFromObject(p), p); err != nil || !slices.Equal(p.Finalizers, []string{finalizer}) {
			t.Fatalf("finalizers are %v, %v", p.Finalizers, err)
		}
	}
	// What docs/operations.md has people do who don't want the operator back.
	nobody := client.RawPatch("application/merge-patch+json", []byte(`{"metadata":{"finalizers":null}}`))
	if err := f.api.Patch(t.Context(), freed, nobody); err != nil {
		t.Fatal(err)
	}
	if err := f.api.Get(t.Context(), client.ObjectKeyFromObject(freed), freed); !apierrors.IsNotFound(err) {
		t.Errorf("still there, %v", err)
	}

	f.ahead = 2 * DefaultDrainWithin
	operator, _ := f.run(t, "v2")
	await.NoError(t, func() error {
		if err := f.api.Get(t.Context(), client.ObjectKeyFromObject(waiting), waiting); !apierrors.IsNotFound(err) {
			return fmt.Errorf("still there: %v, %w", waiting.Finalizers, err)
		}
		return nil
	})
	if f.kafka.TopicInfo(waiting.Status.Topic.Name) != nil {
		t.Error("the topic of the one that waited is still there")
	}
	if f.kafka.TopicInfo(freed.Status.Topic.Name) == nil {
		t.Error("the topic of the one that was freed is deleted")
	}
	d := &drained{fleet: f, operator: operator, p: drains, lag: ptr.To(5.0)}
	d.await(t, 0, 1, 0, v1alpha1.ReasonTerminating)
	d.lag = ptr.To(0.0)
	d.awaitGone(t, operator)
	d.awaitTold(t, "Drained", "TopicDeleted")
}

// awaitDeleting waits until the operator says that it has something to do first:
// its time counts from then on.
func awaitDeleting(t *testing.T, p *v1alpha1.LogPipeline) {
	t.Helper()
	await.NoError(t, func() error {
		if err := reconciler.Client.Get(t.Context(), client.ObjectKeyFromObject(p), p); err != nil || terminationOf(p) == nil {
			return fmt.Errorf("not being deleted: %w, %+v", err, p.Status.Conditions)
		}
		return nil
	})
}

// reconcileUntilGone does as an operator that looks again after a time. The
// running one still hopes.
func reconcileUntilGone(t *testing.T, p *v1alpha1.LogPipeline, after time.Duration) {
	t.Helper()
	later := *reconciler
	later.Topics = topics.NewPool()
	defer later.Topics.Close()
	later.Now = func() time.Time { return time.Now().Add(after) }
	await.NoError(t, func() error { // its cache may be behind
		if _, err := later.Reconcile(t.Context(), ctrl.Request{NamespacedName: client.ObjectKeyFromObject(p)}); err != nil {
			return err
		}
		if err := api.Get(t.Context(), client.ObjectKeyFromObject(p), p); !apierrors.IsNotFound(err) {
			return fmt.Errorf("still there, %w", err)
		}
		return nil
	})
}

func awaitOnlyFinalizer(t *testing.T, p *v1alpha1.LogPipeline, want string) {
	t.Helper()
	await.NoError(t, func() error {
		if err := api.Get(t.Context(), client.ObjectKeyFromObject(p), p); err != nil || !slices.Equal(p.Finalizers, []string{want}) {
			return fmt.Errorf("finalizers are %v, %w", p.Finalizers, err)
		}
		return nil
	})
}

// collectGarbage is what the garbage collector does.
func collectGarbage[T client.Object](t *testing.T, p *v1alpha1.LogPipeline, children map[string]T) {
	t.Helper()
	if len(children) == 0 {
		t.Fatal("there are no children")
	}
	for name := range maps.Keys(children) {
		if err := api.Delete(t.Context(), children[name]); client.IgnoreNotFound(err) != nil {
			t.Fatal(err)
		}
	}
	if left := childrenOf(t, p); len(left) > 0 {
		t.Fatalf("not collected: %v", slices.Collect(maps.Keys(left)))
	}
}

// expectNothingAnew has the operator look at what it has seen go.
func expectNothingAnew(t *testing.T, p *v1alpha1.LogPipeline) {
	t.Helper()
	await.NoError(t, func() error {
		var cached corev1.ServiceList
		if err := reconciler.Client.List(t.Context(), &cached, client.InNamespace(p.Namespace)); err != nil || len(cached.Items) > 0 {
			return errors.Join(fmt.Errorf("%d Services are cached", len(cached.Items)), err)
		}
		return nil
	})
	if _, err := reconciler.Reconcile(t.Context(), ctrl.Request{NamespacedName: client.ObjectKeyFromObject(p)}); err != nil {
		t.Error(err)
	}
	if anew := childrenOf(t, p); len(anew) > 0 {
		t.Errorf("made anew: %v", slices.Collect(maps.Keys(anew)))
	}
}
