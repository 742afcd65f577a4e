// Command prunecrd takes out of CustomResourceDefinitions the descriptions that
// are not ours: those of Kubernetes' own types, which make up most of a CRD and
// stand in its documentation. What is ours is told by the comments of the API's
// Go package; the description of apiVersion and kind stay.
//
// It runs at the root of the repository: prunecrd FILE...
package main

import (
	"errors"
	"fmt"
	"os"

	"sigs.k8s.io/yaml"
)

const source = "api/v1alpha1"

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "prunecrd:", err)
		os.Exit(1)
	}
}

func run(files []string) error {
	ours, err := readComments(source)
	if err != nil {
		return err
	}
	for _, file := range files {
		if err := pruneFile(file, ours); err != nil {
			return fmt.Errorf("prune %s: %w", file, err)
		}
	}
	return nil
}

func pruneFile(file string, ours comments) error {
	document, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	pruned, err := prune(document, ours)
	if err != nil {
		return err
	}
	return os.WriteFile(file, pruned, 0o644)
}

// prune returns the document with the descriptions that ours has, and no
// others, in the layout of controller-gen.
func prune(document []byte, ours comments) ([]byte, error) {
	var crd map[string]any
	if err := yaml.Unmarshal(document, &crd); err != nil {
		return nil, err
	}
	spec, _ := crd["spec"].(map[string]any)
	versions, _ := spec["versions"].([]any)
	if len(versions) == 0 {
		return nil, errors.New("it is no CustomResourceDefinition: there is no spec.versions")
	}
	for _, version := range versions {
		schema, _ := version.(map[string]any)["schema"].(map[string]any)
		root, _ := schema["openAPIV3Schema"].(map[string]any)
		kept := keepTypeMeta(root)
		pruneSchema(root, ours)
		kept()
	}
	pruned, err := yaml.Marshal(crd)
	return append([]byte("---\n"), pruned...), err
}

// pruneSchema goes through a schema and all below it. Only a description that
// is text is one; a property of that name is a schema.
func pruneSchema(schema map[string]any, ours comments) {
	if text, ok := schema["description"].(string); ok && !ours.have(text) {
		delete(schema, "description")
	}
	for _, key := range []string{"items", "additionalProperties"} {
		if inner, ok := schema[key].(map[string]any); ok {
			pruneSchema(inner, ours)
		}
	}
	properties, _ := schema["properties"].(map[string]any)
	for _, property := range properties {
		if inner, ok := property.(map[string]any); ok {
			pruneSchema(inner, ours)
		}
	}
}

// keepTypeMeta returns what puts back the descriptions of apiVersion and kind:
// they are short, and the first that kubectl explain shows.
func keepTypeMeta(root map[string]any) (restore func()) {
	properties, _ := root["properties"].(map[string]any)
	kept := map[string]any{}
	for _, name := range []string{"apiVersion", "kind"} {
		if property, ok := properties[name].(map[string]any); ok {
			kept[name] = property["description"]
		}
	}
	return func() {
		for name, description := range kept {
			properties[name].(map[string]any)["description"] = description
		}
	}
}
