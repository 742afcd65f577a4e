package controllers

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/utils/ptr"

	"github.com/logpipeline/logpipeline/api/v1alpha1"
	"github.com/logpipeline/logpipeline/controllers/resources"
	"github.com/logpipeline/logpipeline/test/await"
)

// incidents are what may happen around a pipeline that runs. Each is over when
// it runs again as before.
func (m *mutant) incidents() []func() string {
	incidents := []func() string{m.childDeleted, m.childDeleted, m.childDrifts, m.childDrifts, m.childDrifts, m.childDrifts, m.childTaken, m.kafkaAway, m.suspended}
	if len(resources.Secrets(m.p)) > 0 {
		incidents = append(incidents, m.secretAway, m.secretAway, m.secretAway)
	}
	if m.p.Spec.Storage.PersistentVolumeClaim != nil {
		incidents = append(incidents, m.claimChanges, m.claimChanges, m.claimChanges)
	}
	if autoscaled(m.p) {
		incidents = append(incidents, m.autoscalerScales, m.autoscalerScales)
	}
	return incidents
}

func (m *mutant) runsAgain() {
	m.rest(func(rests string) bool { return rests == "Running" })
	m.checkAgainstNew()
}

func (m *mutant) anyChild() (name string, child *unstructured.Unstructured) {
	children := childrenOf(m.T, m.p)
	name = pick(m.generator, slices.Sorted(maps.Keys(children)))
	return name, children[name]
}

func (m *mutant) childDeleted() string {
	name, child := m.anyChild()
	if err := api.Delete(m.Context(), child); err != nil {
		m.Fatal(err)
	}
	await.NoError(m.T, func() error {
		if again := childrenOf(m.T, m.p)[name]; again == nil || again.GetUID() == child.GetUID() {
			return fmt.Errorf("%s does not come back", name)
		}
		return nil
	})
	m.runsAgain()
	return name + " is deleted"
}

// childDrifts has somebody else change a field that the operator owns.
func (m *mutant) childDrifts() string {
	name, child := m.anyChild()
	owned := ownedLeaves(m.T, child)
	where := pick(m.generator, slices.Sorted(maps.Keys(owned)))
	drifted := child.DeepCopy()
	owned = ownedLeaves(m.T, drifted)
	owned[where].drift()
	what := fmt.Sprintf("%s drifts in %s", name, where)
	err := api.Update(m.Context(), drifted)
	if apierrors.IsInvalid(err) || apierrors.IsBadRequest(err) || apierrors.IsForbidden(err) || apierrors.IsConflict(err) {
		m.refused++
		return m.childDrifts()
	}
	if err != nil {
		m.Fatal(what, err)
	}
	if unwatched := strings.Contains(where, "metadata") && !strings.Contains(where, "spec"); unwatched {
		m.look(m.T, m.p) // within a minute
	}
	await.NoError(m.T, func() error {
		live := childrenOf(m.T, m.p)[name]
		if live == nil {
			return fmt.Errorf("%s: it is gone", what)
		}
		if now := ownedLeaves(m.T, live)[where]; now == nil || now.text() != ownedLeaves(m.T, child)[where].text() {
			return fmt.Errorf("%s, and stays so", what)
		}
		return nil
	})
	m.runsAgain()
	return what
}

// childTaken makes a child somebody else's, who then deletes it.
func (m *mutant) childTaken() string {
	name, child := m.anyChild()
	taken := child.DeepCopy()
	taken.SetOwnerReferences(nil)
	if err := api.Update(m.Context(), taken); err != nil {
		m.Fatal(err)
	}
	m.Logf("%s is taken", name)
	m.look(m.T, m.p) // within a minute, where only changes of the spec are watched
	m.rest(func(rests string) bool { return rests == "Retrying "+v1alpha1.ReasonForeignObject })
	if err := api.Delete(m.Context(), taken); err != nil {
		m.Fatal(err)
	}
	m.look(m.T, m.p)
	m.runsAgain()
	return name + " is taken"
}

func (m *mutant) secretAway() string {
	name := pick(m.generator, resources.Secrets(m.p)).Name
	secret := read[corev1.Secret](m.T, m.namespace, name)
	if err := api.Delete(m.Context(), secret); err != nil {
		m.Fatal(err)
	}
	m.look(m.T, m.p)
	m.rest(func(rests string) bool { return rests == "Retrying "+v1alpha1.ReasonSecretNotFound })
	create(m.T, m.credentials(m.T, name))
	m.look(m.T, m.p)
	m.runsAgain()
	return fmt.Sprintf("Secret %q is away", name)
}

// claimChanges has the claim be mounted by one node, or by many.
func (m *mutant) claimChanges() string {
	modes := pick(m.generator, [][]corev1.PersistentVolumeAccessMode{{once}, {oncePod}, {many}, {once, many}})
	m.setModes(m.T, modes...)
	m.look(m.T, m.p)
	// As a new one does, which may be to stall.
	m.rest(settled)
	m.checkAgainstNew()
	return fmt.Sprintf("the claim is %v", modes)
}

// autoscalerScales within the autoscaler's bounds; nobody takes that back.
func (m *mutant) autoscalerScales() string {
	children := childrenOf(m.T, m.p)
	for _, name := range []string{resources.IngesterName(m.p), resources.ConsumerName(m.p)} {
		if children["HorizontalPodAutoscaler/"+name] == nil {
			continue
		}
		a := read[autoscalingv2.HorizontalPodAutoscaler](m.T, m.namespace, name)
		least := max(1, ptr.Deref(a.Spec.MinReplicas, 1))
		replicas := least + m.Int32N(a.Spec.MaxReplicas-least+1)
		scaleAs(m.T, read[appsv1.Deployment](m.T, m.namespace, name), replicas)
		m.runsAgain()
		if d := read[appsv1.Deployment](m.T, m.namespace, name); *d.Spec.Replicas != replicas {
			m.Fatalf("%s is scaled to %d, and then to %d", name, replicas, *d.Spec.Replicas)
		}
	}
	return "scaled by the autoscalers"
}

// kafkaAway changes the spec meanwhile: what is known of topics holds for a
// minute.
func (m *mutant) kafkaAway() string {
	m.kafka.Close()
	spec := runtime.DeepCopyJSON(m.spec)
	mark := fmt.Sprint(m.IntN(1_000_000))
	if err := unstructured.SetNestedField(spec, mark, "ingester", "pod", "annotations", "example.com/away"); err != nil {
		m.Fatal(err)
	}
	if err := m.write(spec); err != nil {
		m.Fatal(err)
	}
	m.spec = spec
	m.rest(func(rests string) bool { return rests == "Retrying "+v1alpha1.ReasonBrokersUnreachable })
	m.startKafka(m.T)
	m.runsAgain()
	return "Kafka is away"
}

func (m *mutant) suspended() string {
	spec := runtime.DeepCopyJSON(m.spec)
	spec["suspend"] = true
	if err := m.write(spec); err != nil {
		m.Fatal(err)
	}
	m.rest(func(rests string) bool { return rests == "Suspended" })
	if err := m.write(m.spec); err != nil {
		m.Fatal(err)
	}
	m.runsAgain()
	return "suspended for a while"
}

// leaf is a value within an object.
type leaf struct {
	in  map[string]any
	key string
}

func (l *leaf) text() string { return fmt.Sprint(l.in[l.key]) }

func (l *leaf) drift() {
	switch value := l.in[l.key].(type) {
	case string:
		l.in[l.key] = value + "x"
	case int64:
		l.in[l.key] = value + 1
	case bool:
		l.in[l.key] = !value
	default:
		delete(l.in, l.key)
	}
}

// ownedLeaves are those that the operator has applied, by their paths.
func ownedLeaves(t interface{ Fatal(...any) }, object *unstructured.Unstructured) map[string]*leaf {
	leaves := map[string]*leaf{}
	for _, entry := range object.GetManagedFields() {
		if entry.Manager != fieldManager || entry.Operation != metav1.ManagedFieldsOperationApply {
			continue
		}
		var fields map[string]any
		if err := json.Unmarshal(entry.FieldsV1.GetRawBytes(), &fields); err != nil {
			t.Fatal(err)
		}
		delete(fields["f:metadata"].(map[string]any), "f:ownerReferences") // see childTaken
		collectLeaves(fields, object.Object, "", leaves)
	}
	return leaves
}

// collectLeaves follows fields as the API server writes them,
// https://kubernetes.io/docs/reference/using-api/server-side-apply/#field-management.
func collectLeaves(fields map[string]any, value any, path string, leaves map[string]*leaf) {
	for name, inner := range fields {
		inner, _ := inner.(map[string]any)
		if key, isField := strings.CutPrefix(name, "f:"); isField {
			object, _ := value.(map[string]any)
			if object == nil {
				continue
			}
			if len(inner) == 0 && object[key] != nil {
				leaves[path+"."+key] = &leaf{object, key}
			}
			collectLeaves(inner, object[key], path+"."+key, leaves)
		}
		if key, isElement := strings.CutPrefix(name, "k:"); isElement {
			element := elementOf(value, key)
			for identity := range identityOf(key) { // a change of it makes another element
				delete(inner, "f:"+identity)
			}
			collectLeaves(inner, element, path+"["+key+"]", leaves)
		}
	}
}

func identityOf(key string) (identity map[string]any) {
	_ = json.Unmarshal([]byte(key), &identity)
	return identity
}

func elementOf(value any, key string) any {
	list, _ := value.([]any)
	for _, element := range list {
		object, _ := element.(map[string]any)
		same := true
		for field, want := range identityOf(key) {
			same = same && fmt.Sprint(object[field]) == fmt.Sprint(want)
		}
		if same {
			return object
		}
	}
	return nil
}
