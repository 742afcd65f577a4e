package controllers

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	rbacv1 "k8s.io/api/rbac/v1"
	"sigs.k8s.io/yaml"
)

// What the operator may do with what is not its own is what it says, and nothing
// is allowed by a star.
func TestRightsAreFew(t *testing.T) {
	document, err := os.ReadFile(filepath.Join("..", "config", "rbac", "role.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	role := &rbacv1.ClusterRole{}
	if err := yaml.UnmarshalStrict(document, role); err != nil {
		t.Fatal(err)
	}
	allowed := map[string][]string{}
	for _, rule := range role.Rules {
		for _, resource := range rule.Resources {
			allowed[resource] = append(allowed[resource], rule.Verbs...)
			slices.Sort(allowed[resource])
		}
		if all := slices.Concat(rule.APIGroups, rule.Resources, rule.Verbs); slices.ContainsFunc(all, func(s string) bool { return strings.Contains(s, "*") }) {
			t.Errorf("allowed by a star: %v", rule)
		}
	}
	for resource, want := range map[string][]string{
		"secrets":                {"get"}, // no list, no watch, no cache
		"persistentvolumeclaims": {"get"},
		"pods":                   {"get", "list", "watch"},
		"deployments":            {"create", "get", "list", "patch", "watch"},
		"logpipelines":           {"get", "list", "patch", "watch"},
		"logpipelines/status":    {"patch"},
		"roles":                  nil,
		"rolebindings":           nil,
		"namespaces":             nil,
	} {
		if diff := cmp.Diff(want, allowed[resource]); diff != "" {
			t.Errorf("%s, -want +got\n%s", resource, diff)
		}
	}
}

// A pod whose program, identity or files a tenant may choose would lend them the
// rights of others.
func TestTenantsChooseNoProgram(t *testing.T) {
	document, err := os.ReadFile(filepath.Join("..", "config", "crd", "bases", "ingest.logpipeline.io_logpipelines.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var crd any
	if err := yaml.Unmarshal(document, &crd); err != nil {
		t.Fatal(err)
	}
	chosen, seen := []string{"image", "command", "args", "env", "serviceAccountName", "securityContext", "volumes", "hostPath", "hostNetwork"}, 0
	var walk func(path string, node any)
	walk = func(path string, node any) {
		switch node := node.(type) {
		case []any:
			for _, element := range node {
				walk(path, element)
			}
		case map[string]any:
			fields, _ := node["properties"].(map[string]any)
			for name := range fields {
				if seen++; slices.Contains(chosen, name) {
					t.Errorf("%s.%s", path, name)
				}
			}
			for name, value := range node {
				walk(path+"."+name, value)
			}
		}
	}
	walk("", crd)
	if seen < 100 {
		t.Errorf("only %d fields were seen", seen)
	}
}
