package controllers

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	eventsv1 "k8s.io/api/events/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/logpipeline/logpipeline/api/v1alpha1"
	"github.com/logpipeline/logpipeline/controllers/scaling"
	"github.com/logpipeline/logpipeline/controllers/topics"
	"github.com/logpipeline/logpipeline/test/await"
)

func TestHowLongConsumersGoOn(t *testing.T) {
	began := time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC)
	running := drainSeen{topic: "orders", consumers: 3, known: true, fresh: true, since: began, now: began.Add(time.Minute), within: 10 * time.Minute}
	type result struct {
		Consumers     int32
		Waits, Reason string
	}
	handsOn := result{3, "ingesters hand on what they have queued, consumers store it, until 2026-05-04T03:12:01Z at the latest", ""}
	storing := result{3, `consumers store what topic "orders" still holds, until 2026-05-04T03:12:01Z at the latest`, ""}
	for name, test := range map[string]struct {
		change func(*drainSeen)
		want   result
	}{
		"all is stored":                             {func(*drainSeen) {}, result{Reason: "Drained"}},
		"records are left":                          {func(s *drainSeen) { s.left = 1 }, storing},
		"nobody knows how many are left":            {func(s *drainSeen) { s.known, s.fresh = false, false }, storing},
		"all was stored before the last record":     {func(s *drainSeen) { s.fresh = false }, storing},
		"ingesters still have some":                 {func(s *drainSeen) { s.ingesting = true }, handsOn},
		"the time is over":                          {func(s *drainSeen) { s.left, s.now = 1, began.Add(10*time.Minute) }, result{Reason: "NotDrained"}},
		"the time is over, and ingesters have some": {func(s *drainSeen) { s.ingesting, s.now = true, began.Add(10*time.Minute) }, result{Reason: "NotDrained"}},
		"all is stored at the last moment":          {func(s *drainSeen) { s.now = began.Add(time.Hour) }, result{Reason: "Drained"}},
		"the consumers have been let go":            {func(s *drainSeen) { s.consumers, s.left = 0, 1 }, result{}},
		"others have deleted them":                  {func(s *drainSeen) { s.consumers, s.lost, s.left = 0, true, 1 }, result{Reason: "NotDrained"}},
	} {
		t.Run(name, func(t *testing.T) {
			seen := running
			test.change(&seen)
			got := seen.decide()
			is := result{Consumers: got.consumers, Waits: got.waits}
			if got.ended != nil {
				is.Reason = got.ended.reason
			}
			if diff := cmp.Diff(test.want, is); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// drained is a pipeline on an API server and under an operator of its own, to
// which the test says how many records are left.
type drained struct {
	*fleet
	operator *Reconciler
	p        *v1alpha1.LogPipeline
	lag      *float64 // nil while nobody knows
}

// step has the operator look, after all others have done their parts.
func (d *drained) step(t *testing.T, operator *Reconciler) {
	t.Helper()
	d.playAll(t)
	_, _ = operator.Reconcile(t.Context(), ctrl.Request{NamespacedName: client.ObjectKeyFromObject(d.p)}) // status tells
}

// playAll has all others do their parts.
func (d *drained) playAll(t *testing.T) {
	t.Helper()
	d.play(t)
	if d.lag != nil {
		key := scaling.Pipeline{Namespace: d.p.Namespace, Name: d.p.Name}
		d.operator.Autoscaling.store.Put(key, scaling.Sample{LagRecords: scaling.Value{Value: *d.lag, At: d.operator.Now()}})
	}
}

// await steps until the pipeline has so many replicas and autoscalers, and says
// so of what is under way.
func (d *drained) await(t *testing.T, ingesters, consumers int32, autoscalers int, reconciling string) {
	t.Helper()
	d.awaitBy(t, d.operator, ingesters, consumers, autoscalers, reconciling)
}

func (d *drained) awaitBy(t *testing.T, operator *Reconciler, ingesters, consumers int32, autoscalers int, reconciling string) {
	t.Helper()
	type state struct {
		Ingesters, Consumers int32
		Autoscalers          int
		Reconciling          string
	}
	want := state{ingesters, consumers, autoscalers, reconciling}
	await.NoError(t, func() error {
		d.step(t, operator)
		if err := d.api.Get(t.Context(), client.ObjectKeyFromObject(d.p), d.p); err != nil {
			return err
		}
		got := state{Ingesters: d.replicas(t, "ingester"), Consumers: d.replicas(t, "consumer"), Autoscalers: d.autoscalers(t)}
		if c := meta.FindStatusCondition(d.p.Status.Conditions, v1alpha1.ConditionReconciling); c != nil {
			got.Reconciling = c.Reason
		}
		if d.p.Status.ObservedGeneration != d.p.Generation {
			got.Reconciling = "not seen yet"
		}
		if diff := cmp.Diff(want, got); diff != "" {
			return errors.New(diff + fmt.Sprintf("%+v", d.p.Status.Conditions))
		}
		return nil
	})
}

func (d *drained) replicas(t *testing.T, role string) int32 {
	t.Helper()
	deployment := &appsv1.Deployment{}
	if err := d.api.Get(t.Context(), client.ObjectKey{Namespace: d.p.Namespace, Name: d.p.Name + "-" + role}, deployment); err != nil {
		t.Fatal(err)
	}
	return *deployment.Spec.Replicas
}

func (d *drained) autoscalers(t *testing.T) (n int) {
	t.Helper()
	var all autoscalingv2.HorizontalPodAutoscalerList
	if err := d.api.List(t.Context(), &all); err != nil {
		t.Fatal(err)
	}
	for i := range all.Items {
		if metav1.IsControlledBy(&all.Items[i], d.p) {
			n++
		}
	}
	return n
}

func (d *drained) change(t *testing.T, f func(*v1alpha1.LogPipelineSpec)) {
	t.Helper()
	await.NoError(t, func() error {
		if err := d.api.Get(t.Context(), client.ObjectKeyFromObject(d.p), d.p); err != nil {
			return err
		}
		f(&d.p.Spec)
		return d.api.Update(t.Context(), d.p)
	})
}

func (d *drained) suspend(t *testing.T, suspend bool) {
	t.Helper()
	d.change(t, func(s *v1alpha1.LogPipelineSpec) { s.Suspend = suspend })
}

// later is the operator after a time.
func (d *drained) later(t *testing.T, after time.Duration) *Reconciler {
	later := *d.operator
	later.Topics = topics.NewPool()
	t.Cleanup(later.Topics.Close)
	later.Now = func() time.Time { return time.Now().Add(after) }
	return &later
}

func (d *drained) delete(t *testing.T, options ...client.DeleteOption) {
	t.Helper()
	if err := d.api.Delete(t.Context(), d.p, options...); err != nil {
		t.Fatal(err)
	}
}

// awaitGone leaves it to the running operator to let the pipeline go, if that is
// the one: it forgets a drain with the pipeline, which a second look at the same
// time would still need.
func (d *drained) awaitGone(t *testing.T, operator *Reconciler) {
	t.Helper()
	await.NoError(t, func() error {
		if d.playAll(t); operator != d.operator {
			_, _ = operator.Reconcile(t.Context(), ctrl.Request{NamespacedName: client.ObjectKeyFromObject(d.p)})
		}
		if err := d.api.Get(t.Context(), client.ObjectKeyFromObject(d.p), d.p.DeepCopy()); !apierrors.IsNotFound(err) {
			return fmt.Errorf("still there, or %w", err)
		}
		return nil
	})
}

// awaitTold waits until there is one event for each of the reasons, of all that
// tell what became of the records.
func (d *drained) awaitTold(t *testing.T, reasons ...string) {
	t.Helper()
	await.NoError(t, func() error {
		var events eventsv1.EventList
		if err := d.api.List(t.Context(), &events); err != nil {
			return err
		}
		var told []string
		for _, e := range events.Items {
			if e.Regarding.UID == d.p.UID && slices.Contains([]string{"Drained", "NotDrained", "TopicDeleted", "TopicRetained"}, e.Reason) {
				told = append(told, e.Reason)
			}
		}
		slices.Sort(told)
		if told = slices.Compact(told); !slices.Equal(told, reasons) { // two operators may meet there
			return fmt.Errorf("told %v, want %v", told, reasons)
		}
		return nil
	})
}

func TestConsumersStoreWhatIsLeft(t *testing.T) {
	fixed := func(s *v1alpha1.LogPipelineSpec) {
		s.Consumer.Scaling = &v1alpha1.ConsumerScalingSpec{Fixed: &v1alpha1.FixedScaling{Replicas: 3}}
	}
	drains := func(s *v1alpha1.LogPipelineSpec) { fixed(s); s.Consumer.DrainOnDelete = true }
	drainsAndDeletes := func(s *v1alpha1.LogPipelineSpec) { drains(s); s.Topic.DeletionPolicy = v1alpha1.TopicDelete }
	scaled := func(s *v1alpha1.LogPipelineSpec) {
		s.Ingester.Scaling = scaledIngesters(2, 9)
		s.Consumer.Scaling = &v1alpha1.ConsumerScalingSpec{Auto: &v1alpha1.ConsumerAutoScaling{MinReplicas: ptr.To[int32](2), MaxReplicas: 9}}
	}
	tests := []struct {
		name   string
		spec   func(*v1alpha1.LogPipelineSpec)
		happen func(t *testing.T, d *drained)
	}{
		{"suspended with a lag", fixed, func(t *testing.T, d *drained) {
			d.lag = ptr.To(5.0)
			d.suspend(t, true)
			d.await(t, 0, 3, 0, v1alpha1.ReasonDraining)
			if targets, err := d.operator.Targets()(t.Context()); err != nil || !slices.ContainsFunc(targets, func(t scaling.Target) bool { return t.Name == d.p.Name }) {
				t.Errorf("nobody reads its lag: %v", err)
			}
			d.lag = ptr.To(0.0)
			d.await(t, 0, 0, 0, "")
			d.awaitTold(t, "Drained")
			d.suspend(t, false)
			d.await(t, 2, 3, 0, "")
		}},
		{"suspended while nobody knows the lag, and its spec is invalid", scaled, func(t *testing.T, d *drained) {
			d.change(t, func(s *v1alpha1.LogPipelineSpec) {
				s.Ingester.Queue.MaxBytes = ptr.To(resource.MustParse("1Ki"))
			})
			d.await(t, 2, 2, 2, "")
			d.suspend(t, true)
			d.await(t, 0, 2, 0, v1alpha1.ReasonDraining)
			d.awaitBy(t, d.later(t, DefaultDrainWithin), 0, 0, 0, "")
			d.awaitTold(t, "NotDrained")
			d.change(t, func(s *v1alpha1.LogPipelineSpec) { s.Suspend, s.Ingester.Queue.MaxBytes = false, nil })
			d.await(t, 2, 2, 2, v1alpha1.ReasonProgressing) // no autoscaler has got numbers
		}},
		{"resumed while consumers go on", scaled, func(t *testing.T, d *drained) {
			d.lag = ptr.To(5.0)
			d.suspend(t, true)
			d.await(t, 0, 2, 0, v1alpha1.ReasonDraining)
			d.suspend(t, false)
			d.await(t, 2, 2, 2, v1alpha1.ReasonProgressing)
		}},
		{"deleted with a lag", drainsAndDeletes, func(t *testing.T, d *drained) {
			d.lag = ptr.To(5.0)
			d.delete(t)
			d.await(t, 0, 3, 0, v1alpha1.ReasonTerminating)
			d.lag = ptr.To(0.0)
			d.awaitGone(t, d.operator)
			d.awaitTold(t, "Drained", "TopicDeleted")
		}},
		{"deleted while nobody knows the lag", drainsAndDeletes, func(t *testing.T, d *drained) {
			d.delete(t)
			d.await(t, 0, 3, 0, v1alpha1.ReasonTerminating)
			d.awaitGone(t, d.later(t, DefaultDrainWithin))
			d.awaitTold(t, "NotDrained", "TopicRetained")
		}},
		{"deleted together with its consumers", drains, func(t *testing.T, d *drained) {
			d.lag = ptr.To(5.0)
			d.delete(t)
			d.await(t, 0, 3, 0, v1alpha1.ReasonTerminating)
			consumers := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: d.p.Namespace, Name: d.p.Name + "-consumer"}}
			if err := d.api.Delete(t.Context(), consumers); err != nil {
				t.Fatal(err)
			}
			d.awaitGone(t, d.operator)
			d.awaitTold(t, "NotDrained")
			if err := d.api.Get(t.Context(), client.ObjectKeyFromObject(consumers), consumers); !apierrors.IsNotFound(err) {
				t.Errorf("the consumers are there again: %v", err)
			}
		}},
	}
	f := newFleet(t, len(tests))
	for i, test := range tests {
		test.spec(&f.pipelines[i].Spec)
		if err := f.api.Update(t.Context(), f.pipelines[i]); err != nil {
			t.Fatal(err)
		}
	}
	operator, _ := f.run(t, "v1")
	f.settle(t, map[string]int{"v1": 2 * len(tests)})
	for i, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			d := &drained{fleet: f, operator: operator, p: f.pipelines[i]}
			await.NoError(t, func() error { // its first pods are there
				d.step(t, operator)
				if err := f.api.Get(t.Context(), client.ObjectKeyFromObject(d.p), d.p); err != nil {
					return err
				}
				if d.p.Status.Consumer == nil || d.p.Status.Consumer.ReadyReplicas == 0 || d.p.Status.Topic == nil {
					return fmt.Errorf("status is %+v", d.p.Status)
				}
				return nil
			})
			test.happen(t, d)
		})
	}
}
