package controllers

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/yaml"
)

// firstSpecs are two that work, as different as they can be: one is minimal, the
// other has nearly every field. What is immutable is the same in both, and
// chosen here.
func firstSpecs(t *testing.T, g generator) (first, second map[string]any) {
	t.Helper()
	first, second = minimalSpec(), fullSpec(t)
	if g.oneIn(2) {
		first, second = second, first
	}
	storage := pick(g, []map[string]any{
		{"type": "Ephemeral"},
		{"type": "PersistentVolumeClaim", "persistentVolumeClaim": map[string]any{"claimName": "claim"}},
		{"type": "ObjectStore", "objectStore": map[string]any{"url": "s3://bucket/prefix"}},
	})
	topic := g.IntN(4)
	for _, spec := range []map[string]any{first, second} {
		maps.Copy(spec["storage"].(map[string]any), storage)
		switch topic {
		case 0:
			spec["topic"] = map[string]any{"management": "Existing", "name": "theirs"}
		case 1:
			spec["topic"].(map[string]any)["name"] = "named"
		}
	}
	return first, second
}

func minimalSpec() map[string]any {
	return map[string]any{
		"kafka": map[string]any{"bootstrapServers": []any{broker}}, "topic": map[string]any{}, "storage": map[string]any{"type": "Ephemeral"},
	}
}

// fullSpec is the sample's, on what there is here, and has other topics, keys,
// Secrets and objects than the minimal one.
func fullSpec(t *testing.T) map[string]any {
	t.Helper()
	document, err := os.ReadFile(filepath.Join("..", "config", "samples", "full.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	document, _, _ = bytes.Cut(document, []byte("\n---\n"))
	object := &unstructured.Unstructured{}
	if document, err = yaml.YAMLToJSON(document); err != nil {
		t.Fatal(err)
	}
	if err := object.UnmarshalJSON(document); err != nil {
		t.Fatal(err)
	}
	unstructured.RemoveNestedField(object.Object, "spec", "storage", "persistentVolumeClaim")
	credentials, config := map[string]any{"name": "credentials"}, map[string]any{"retention.ms": "1000"}
	for path, value := range map[string]any{
		"kafka.bootstrapServers":     []any{broker},
		"topic":                      map[string]any{"partitions": int64(2), "config": config, "deletionPolicy": "Delete"},
		"deadLetter.topic":           map[string]any{"partitions": int64(1), "config": config},
		"ingester.tls.certSecretRef": credentials,
		"ingester.authentication.bearerTokensSecretRef": credentials,
		"consumer.drainOnDelete":                        false, // it would keep the topic
		"networkPolicy":                                 map[string]any{"management": "None"},
	} {
		if err := unstructured.SetNestedField(object.Object, value, strings.Split("spec."+path, ".")...); err != nil {
			t.Fatal(err)
		}
	}
	return object.Object["spec"].(map[string]any)
}

// nextSpec is one under which the pipeline ran before, or would have, or has something of the
// present one changed; where that one did not go well, often something of the
// last that did.
func (m *mutant) nextSpec() (spec map[string]any, what string) {
	last := len(m.ran) - 1
	i := pick(m.generator, []int{0, 1, m.IntN(last + 1)}) // the first two differ most
	if m.oneIn(3) && !reflect.DeepEqual(m.ran[i], m.spec) {
		return m.ran[i], fmt.Sprintf("back to spec %d that ran", i)
	}
	spec = m.spec
	if m.rests != "Running" && m.oneIn(2) {
		spec = m.ran[last]
	}
	var where []string
	for range 1 + m.IntN(2) {
		changed, at := m.change(m.schema, "spec", runtime.DeepCopyJSON(spec))
		spec, where = changed.(map[string]any), append(where, at)
	}
	return spec, strings.Join(where, ", ")
}
