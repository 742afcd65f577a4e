package controllers

import (
	"fmt"
	"strings"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/logpipeline/logpipeline/api/v1alpha1"
	"github.com/logpipeline/logpipeline/controllers/resources"
)

func (m *mutant) reached(conditions ...string) bool {
	for _, c := range conditions {
		if !meta.IsStatusConditionTrue(m.p.Status.Conditions, c) {
			return false
		}
	}
	return true
}

// checkQuiet lets the pipeline be looked at again and again. What is under way
// may be written once more, but there is an end to that.
func (m *mutant) checkQuiet() {
	for range 4 {
		before, beforeToKafka := len(requests.in(m.p.Namespace)), m.kafkaWrites.Load()
		m.look(m.T, m.p)
		m.look(m.T, m.p)
		if len(requests.in(m.p.Namespace)) == before && m.kafkaWrites.Load() == beforeToKafka {
			return
		}
		m.come(m.T, m.p, settled)
	}
	writes := requests.in(m.p.Namespace)
	m.Fatalf("%s, and written again and again, %d times to Kafka:\n%s\nspec %v, status %+v",
		m.rests, m.kafkaWrites.Load(), strings.Join(writes[max(0, len(writes)-12):], "\n"), m.spec, m.p.Status)
}

// checkAgainstNew compares the pipeline with a new one of the same spec and
// name, in a namespace and with a Kafka of its own.
func (m *mutant) checkAgainstNew() {
	m.Helper()
	fresh := m.like(m.T, m.p)
	p := fresh.begin(m.T, m.spec)
	rests := fresh.come(m.T, p, settled)
	defer fresh.end(m.T, p)
	if rests != m.rests {
		m.Fatalf("it %s, but a new one of its spec %s\nspec %v\nit: %+v\nnew: %+v", m.rests, rests, m.spec, m.p.Status.Conditions, p.Status.Conditions)
	}
	if diff := cmp.Diff(statusOf(m.T, p, fresh.port), statusOf(m.T, m.p, m.port)); diff != "" {
		m.Fatalf("%s: its status differs from that of a new one of its spec, -new +it\n%s\nspec %v", m.rests, diff, m.spec)
	}
	if m.rests != "Running" {
		return
	}
	if diff := cmp.Diff(specified(m.T, p, fresh.port), m.children); diff != "" {
		m.Fatalf("its objects differ from those of a new one of its spec, -new +it\n%s\nspec %v", diff, m.spec)
	}
}

// liveChild is what a change of the spec leaves of an object.
type liveChild struct {
	uid      types.UID
	replicas int64
}

func (m *mutant) liveChildren() map[string]liveChild {
	live := map[string]liveChild{}
	for name, child := range childrenOf(m.T, m.p) {
		replicas, _, _ := unstructured.NestedInt64(child.Object, "spec", "replicas")
		live[name] = liveChild{child.GetUID(), replicas}
	}
	return live
}

// checkInPlace compares objects with what they were under another spec: what is
// still there was changed in place, and pods that an autoscaler, or somebody
// else, has from now on are as many as they were. Only a role without any
// gets its first.
func (m *mutant) checkInPlace(before map[string]liveChild) {
	for name, now := range m.liveChildren() {
		was, found := before[name]
		if !found {
			continue
		}
		if was.uid != now.uid {
			m.Fatalf("%s was deleted and made anew", name)
		}
		kind, object, _ := strings.Cut(name, "/")
		handed := kind == "Deployment" && !m.p.Spec.Suspend && scaledByAny(m.p, object)
		if handed && was.replicas > 0 && now.replicas != was.replicas {
			m.Fatalf("%s had %d replicas, and has %d in the hands of others", name, was.replicas, now.replicas)
		}
	}
}

// checkStopped finds what would go on under a suspended pipeline, whatever else
// is wrong with it.
func (m *mutant) checkStopped() {
	for name, child := range m.liveChildren() {
		if strings.HasPrefix(name, "HorizontalPodAutoscaler/") || child.replicas > 0 {
			m.Fatalf("suspended, and there is %s with %d replicas", name, child.replicas)
		}
	}
}

// checkRunning compares what is told of a pipeline that runs with what there is.
func (m *mutant) checkRunning() {
	said := []any{m.p.Status.Ingester, m.p.Status.Consumer}
	ingester, consumer := m.deployment(resources.IngesterName(m.p)), m.deployment(resources.ConsumerName(m.p))
	for _, d := range []*appsv1.Deployment{ingester, consumer} {
		if *d.Spec.Replicas == 0 && scaledByAny(m.p, d.Name) {
			m.Fatalf("%s has no pods, where an autoscaler would leave it", d.Name)
		}
	}
	is := []any{
		&v1alpha1.IngesterStatus{Replicas: ingester.Status.Replicas, ReadyReplicas: ingester.Status.ReadyReplicas, Ready: allReady(ingester)},
		&v1alpha1.ConsumerStatus{Replicas: consumer.Status.Replicas, ReadyReplicas: consumer.Status.ReadyReplicas, Ready: allReady(consumer), Group: m.p.Status.Consumer.Group},
	}
	if diff := cmp.Diff(is, said); diff != "" {
		m.Fatalf("its status does not tell of its Deployments, -is +said\n%s", diff)
	}
}

func allReady(d *appsv1.Deployment) string { return fmt.Sprintf("%d/%[1]d", *d.Spec.Replicas) }

func (m *mutant) deployment(name string) *appsv1.Deployment {
	d := &appsv1.Deployment{}
	if err := api.Get(m.Context(), client.ObjectKey{Namespace: m.namespace, Name: name}, d); err != nil {
		m.Fatal(err)
	}
	return d
}
