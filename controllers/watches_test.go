package controllers

import (
	"context"
	"maps"
	"slices"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
)

// Whatever somebody deletes of a pipeline's objects comes back because that is
// watched, well before the pipeline would be looked at anyway: a suspended one,
// which nothing else calls for.
func TestEveryKindOfChildIsWatched(t *testing.T) {
	s := surround(t)
	spec := minimalSpec()
	spec["suspend"] = true
	p := s.begin(t, spec)
	s.come(t, p, func(rests string) bool { return rests == "Suspended" })
	soon, cancel := context.WithTimeout(t.Context(), resyncEvery*3/4)
	defer cancel()
	children := childrenOf(t, p)
	if len(children) != 11 {
		t.Fatalf("it has %d objects: %v", len(children), slices.Sorted(maps.Keys(children)))
	}
	for name, child := range children {
		if err := api.Delete(t.Context(), child); err != nil {
			t.Fatal(err)
		}
		for again := child.DeepCopy(); again.GetUID() == child.GetUID(); time.Sleep(20 * time.Millisecond) {
			if err := api.Get(soon, client.ObjectKeyFromObject(child), again); client.IgnoreNotFound(err) != nil {
				t.Fatalf("%s does not come back: %v", name, err)
			} else if err != nil {
				again = &unstructured.Unstructured{Object: child.DeepCopy().Object}
			}
		}
	}
}

// One pipeline that waits for brokers or an API server holds up no other.
func TestSeveralPipelinesAreReconciledAtATime(t *testing.T) {
	families, err := metrics.Registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		if family.GetName() != "controller_runtime_max_concurrent_reconciles" {
			continue
		}
		if n := family.Metric[0].GetGauge().GetValue(); n != DefaultConcurrency {
			t.Errorf("%g at a time, want %d", n, DefaultConcurrency)
		}
		return
	}
	t.Error("nobody says how many")
}
