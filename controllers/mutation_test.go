package controllers

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
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
// idea of Acto (https://github.com/xlab-uiuc/acto). What a new pipeline would
// find as the old one left it, such as topics, is compared with the spec.
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
	// spec is the one that the API server took last, ran are those under which
	// records were taken and stored, or would be at the beginning.
	spec     map[string]any
	ran      []map[string]any
	p        *v1alpha1.LogPipeline
	rests    string
	children map[string]any
	topics   map[string]topicState
	refused  int
}

func newMutant(t *testing.T, seed uint64, schema fieldSchema) *mutant {
	g := generator{rand.New(rand.NewPCG(seed, 0))}
	first, second := firstSpecs(t, g)
	m := &mutant{T: t, generator: g, schema: schema, surroundings: surround(t), spec: first}
	m.p = m.begin(t, m.spec)
	m.rests = m.come(t, m.p, settled)
	if m.rests != "Running" {
		t.Fatalf("the first spec %s: %+v", m.rests, m.p.Status.Conditions)
	}
	m.ran, m.children, m.topics = []map[string]any{second, first}, specified(t, m.p, m.port), m.topicsOf(m.p)
	return m
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

// changeSpec gives the pipeline another spec.
func (m *mutant) changeSpec() string {
	spec, what := m.nextSpec()
	before := m.liveChildren()
	if err := m.write(spec); apierrors.IsInvalid(err) {
		m.refused++
		return m.changeSpec()
	} else if err != nil {
		m.Fatalf("%s: %v", what, err)
	}
	m.spec = spec
	m.rest(settled)
	m.checkInPlace(before)
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
	if m.p.Spec.Suspend {
		m.checkStopped()
	}
	if m.rests == "Running" {
		m.checkRunning()
		m.checkTopics()
		m.ran = append(m.ran, m.spec)
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
