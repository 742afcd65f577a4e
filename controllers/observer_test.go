package controllers

import (
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/logpipeline/logpipeline/api/v1alpha1"
	"github.com/logpipeline/logpipeline/controllers/scaling"
	"github.com/logpipeline/logpipeline/test/await"
)

// What is known of the load when the status is written anyway is written with
// it, and costs no write of its own.
func TestFirstLagIsShownWithTheStatus(t *testing.T) {
	p, now := newPipeline(newNamespace(t), newKafka(t).ListenAddrs()), time.Now()
	known := scaling.Value{Value: 5, At: now}
	reconciler.Autoscaling.store.Put(scaling.Pipeline{Namespace: p.Namespace, Name: p.Name}, scaling.Sample{LagRecords: known, DelaySeconds: known})
	startPipeline(t, p)
	await.NoError(t, func() error {
		if err := api.Get(t.Context(), client.ObjectKeyFromObject(p), p); err != nil {
			return err
		}
		shown := p.Status.Observed
		if shown == nil || !ptr.Equal(shown.LagRecords, ptr.To[int64](5)) || !ptr.Equal(shown.DelaySeconds, ptr.To[int64](5)) {
			return fmt.Errorf("status.observed is %+v", shown)
		}
		return nil
	})
}

func TestObserverShowsTheLag(t *testing.T) {
	namespace := newNamespace(t)
	p := newPipeline(namespace, newKafka(t).ListenAddrs())
	startPipeline(t, p)
	store, now := scaling.NewStore(), time.Now()
	observer := NewObserver(reconciler.Client, store, slog.New(slog.DiscardHandler))
	observer.now = func() time.Time { return now }
	observer.budget = newBudget(now.Add(-time.Hour))
	name := scaling.Pipeline{Namespace: namespace, Name: "orders"}
	put := func(lag float64) {
		v := scaling.Value{Value: lag, At: now}
		store.Put(name, scaling.Sample{LagRecords: v, DelaySeconds: v, Rates: scaling.Rates{Arrival: 7, Drain: 1000}})
	}
	// await has rounds until the status is as wanted.
	show := func(want *v1alpha1.ObservedStatus) {
		t.Helper()
		await.NoError(t, func() error {
			if err := observer.round(t.Context()); err != nil {
				t.Fatal(err)
			}
			if err := api.Get(t.Context(), client.ObjectKeyFromObject(p), p); err != nil {
				return err
			}
			got := p.Status.Observed.DeepCopy()
			if got != nil {
				got.At = want.At
			}
			if diff := cmp.Diff(want, got); diff != "" {
				return fmt.Errorf("-want +got\n%s", diff)
			}
			return nil
		})
	}
	writes := func() int { return len(requests.in(namespace)) }

	before := writes()
	if err := observer.round(t.Context()); err != nil || writes() != before {
		t.Fatalf("%d writes before anything was collected, %v", writes()-before, err)
	}
	put(123_456)
	shown := &v1alpha1.ObservedStatus{
		LagRecords: ptr.To[int64](120_000), DelaySeconds: ptr.To[int64](120_000),
		ArrivalRecordsPerSecond: ptr.To[int64](7), DrainRecordsPerSecond: ptr.To[int64](1000), DrainedInSeconds: ptr.To[int64](120),
	}
	show(shown)
	awaitCache(t, p)
	before, now = writes(), now.Add(time.Hour)
	put(123_456)
	if err := observer.round(t.Context()); err != nil || writes() != before {
		t.Errorf("%d writes of what is shown already, %v", writes()-before, err)
	}
	change(t, p, func(p *v1alpha1.LogPipeline) { p.Spec.Suspend = true })
	await.NoError(t, func() error {
		if err := observer.round(t.Context()); err != nil {
			return err
		}
		if err := api.Get(t.Context(), client.ObjectKeyFromObject(p), p); err != nil {
			return err
		}
		if p.Status.Observed != nil {
			return fmt.Errorf("a suspended pipeline shows %+v", p.Status.Observed)
		}
		return nil
	})
}
