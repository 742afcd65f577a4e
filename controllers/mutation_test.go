package controllers

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/logpipeline/logpipeline/api/v1alpha1"
	"github.com/logpipeline/logpipeline/test/await"
)

// How many changes one pipeline lives through.
const changesOfOneLife = 12

// A LogPipeline is changed at random, validly or not, and so is what is around
// it. After each change it comes to rest, where its status says it is, writes
// nothing more, and is what the same spec makes of a new pipeline. That is the
// idea of Acto (https://github.com/xlab-uiuc/acto).
//
// Without variables the changes are always the same: who changes something else
// should not meet a defect that was there before. MUTATIONS says how many new
// ones there are instead; SEED repeats those of one pipeline, by the seed that a
// failure names.
func TestMutations(t *testing.T) {
	changes, seed := 50, uint64(408)
	if n, err := strconv.Atoi(os.Getenv("MUTATIONS")); err == nil {
		changes, seed = n, rand.Uint64N(1_000_000)
	}
	if n, err := strconv.ParseUint(os.Getenv("SEED"), 10, 64); err == nil {
		seed = n
	}
	spec, rests := specSchema(t), map[string]int{}
	panics := counter(t, "controller_runtime_reconcile_panics_total")
	for ; changes > 0; seed++ {
		n := min(changes, changesOfOneLife)
		changes -= n
		if !t.Run(fmt.Sprintf("SEED=%d", seed), func(t *testing.T) { newMutant(t, seed, spec).live(n, rests) }) {
			break // what comes after a defect is only slower
		}
	}
	t.Logf("came to rest: %v", rests)
	if n := counter(t, "controller_runtime_reconcile_panics_total") - panics; n > 0 {
		t.Errorf("%g panics", n)
	}
}

// mutant is a pipeline that is changed.
type mutant struct {
	*testing.T
	surroundings
	generator
	schema fieldSchema
	// spec is the one that the API server took last, running the last one
	// under which records were taken and stored.
	spec, running map[string]any
	p             *v1alpha1.LogPipeline
	rests         string
	children      map[string]any
	refused       int
}

func newMutant(t *testing.T, seed uint64, schema fieldSchema) *mutant {
	g := generator{rand.New(rand.NewPCG(seed, 0))}
	m := &mutant{T: t, generator: g, schema: schema, surroundings: surround(t), spec: firstSpec(g)}
	m.p = m.begin(t, m.spec)
	m.rests = m.come(t, m.p, settled)
	if m.rests != "Running" {
		t.Fatalf("the first spec %s: %+v", m.rests, m.p.Status.Conditions)
	}
	m.running, m.children = m.spec, specified(t, m.p, m.port)
	return m
}

// firstSpec is minimal. What is immutable is chosen here.
func firstSpec(g generator) map[string]any {
	spec := minimalSpec()
	spec["storage"] = pick(g, []map[string]any{
		{"type": "Ephemeral"},
		{"type": "PersistentVolumeClaim", "persistentVolumeClaim": map[string]any{"claimName": "claim"}},
		{"type": "ObjectStore", "objectStore": map[string]any{"url": "s3://bucket/prefix"}},
	})
	if topic := pick(g, []map[string]any{nil, nil, {"name": "named"}, {"management": "Existing", "name": "theirs"}}); topic != nil {
		spec["topic"] = topic
	}
	return spec
}

func minimalSpec() map[string]any {
	return map[string]any{"kafka": map[string]any{"bootstrapServers": []any{broker}}, "storage": map[string]any{"type": "Ephemeral"}}
}

// live goes through n changes that are taken, and counts where they end.
func (m *mutant) live(n int, rests map[string]int) {
	for i := range n {
		step := m.changeSpec
		if m.rests == "Running" && m.oneIn(3) {
			step = pick(m.generator, m.incidents())
		}
		m.Logf("%d. %s: %s", i+1, step(), m.rests)
		rests[m.rests]++
	}
	rests["refused"] += m.refused
	m.end(m.T, m.p)
}

// changeSpec changes something of the spec and, where that did not go well
// last time, often something of the one that did.
func (m *mutant) changeSpec() string {
	spec := m.spec
	if m.rests != "Running" && m.oneIn(2) {
		spec = m.running
	}
	var where []string
	for range 1 + m.IntN(2) {
		changed, at := m.change(m.schema, "spec", runtime.DeepCopyJSON(spec))
		spec, where = changed.(map[string]any), append(where, at)
	}
	what := strings.Join(where, ", ")
	if err := m.write(spec); apierrors.IsInvalid(err) {
		m.refused++
		return m.changeSpec()
	} else if err != nil {
		m.Fatalf("%s: %v", what, err)
	}
	m.spec = spec
	m.rest(settled)
	m.checkAgainstNew()
	return what
}

// write updates the pipeline's spec.
func (m *mutant) write(spec map[string]any) (err error) {
	await.NoError(m.T, func() error {
		live := &unstructured.Unstructured{}
		live.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind("LogPipeline"))
		if err := api.Get(m.Context(), client.ObjectKeyFromObject(m.p), live); err != nil {
			return err
		}
		live.Object["spec"] = m.render(m.T, spec)
		if err = api.Update(m.Context(), live); apierrors.IsConflict(err) {
			return err
		}
		return nil
	})
	return err
}

// rest waits until the pipeline rests as accepted, and checks that the
// operator then does as well. What a pipeline ran on before a failure that
// came before its objects' turn, it still runs on.
func (m *mutant) rest(accepted func(rests string) bool) {
	m.rests = m.come(m.T, m.p, accepted)
	m.checkQuiet()
	children := specified(m.T, m.p, m.port)
	if !m.p.Spec.Suspend && !m.reached(v1alpha1.ConditionKafkaReachable, v1alpha1.ConditionTopicReady, v1alpha1.ConditionStorageReady) {
		if diff := cmp.Diff(withoutReplicas(m.children), withoutReplicas(children)); diff != "" {
			m.Fatalf("%s, and objects were changed, -before +after\n%s\nspec %v", m.rests, diff, m.spec)
		}
	}
	m.children = children
	if m.rests == "Running" {
		m.running = m.spec
	}
}

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
		before := len(requests.in(m.p.Namespace))
		m.look(m.T, m.p)
		m.look(m.T, m.p)
		if len(requests.in(m.p.Namespace)) == before {
			return
		}
		m.come(m.T, m.p, settled)
	}
	writes := requests.in(m.p.Namespace)
	m.Fatalf("%s, and written again and again:\n%s\nspec %v, status %+v", m.rests, strings.Join(writes[max(0, len(writes)-12):], "\n"), m.spec, m.p.Status)
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

// counter sums up a metric of the manager.
func counter(t *testing.T, name string) (sum float64) {
	t.Helper()
	families, err := metrics.Registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		if family.GetName() == name {
			for _, m := range family.Metric {
				sum += m.GetCounter().GetValue()
			}
		}
	}
	return sum
}
