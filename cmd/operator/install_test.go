package main

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/yaml"

	"github.com/logpipeline/logpipeline/controllers/metricsapi"
)

// The operator is installed by the Helm chart or by the kustomize bases; both
// give it the same rights, the same CRD and a Deployment that its own flags
// fit.

const root = "../.."

func TestChartHoldsTheGeneratedFiles(t *testing.T) {
	pairs := map[string]string{
		"config/crd/bases/ingest.logpipeline.io_logpipelines.yaml": "crds/ingest.logpipeline.io_logpipelines.yaml",
		"config/rbac/role.yaml":                    "role.yaml",
		"config/rbac/leader_election_role.yaml":    "leader_election_role.yaml",
		"config/rbac/logpipeline_editor_role.yaml": "logpipeline_editor_role.yaml",
		"config/rbac/logpipeline_viewer_role.yaml": "logpipeline_viewer_role.yaml",
		"config/rbac/metrics_reader_role.yaml":     "metrics_reader_role.yaml",
	}
	for source, copied := range pairs {
		want, err := os.ReadFile(filepath.Join(root, source))
		if err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(filepath.Join(root, "charts/logpipeline/files", copied))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), string(got)); diff != "" {
			t.Errorf("charts/logpipeline/files/%s is not %s (make generate copies it), -want +got\n%s", copied, source, diff)
		}
	}
}

func TestChartAndKustomizeGiveTheSameRights(t *testing.T) {
	chart := objects(t, template(t))
	kustomize := objects(t, output(t, tool(t, "kubectl"), "kustomize", filepath.Join(root, "config/default")))
	for _, name := range []string{"logpipeline-operator", "logpipeline-viewer", "logpipeline-editor", "logpipeline-metrics-reader"} {
		a, b := decode[rbacv1.ClusterRole](t, chart, "ClusterRole", name), decode[rbacv1.ClusterRole](t, kustomize, "ClusterRole", name)
		if diff := cmp.Diff(b.Rules, a.Rules); diff != "" || len(a.Rules) == 0 {
			t.Errorf("ClusterRole %s: -kustomize +chart\n%s", name, diff)
		}
	}
	crd := "logpipelines.ingest.logpipeline.io"
	a, b := find(t, chart, "CustomResourceDefinition", crd), find(t, kustomize, "CustomResourceDefinition", crd)
	if diff := cmp.Diff(b.Object["spec"], a.Object["spec"]); diff != "" {
		t.Errorf("CRD: -kustomize +chart\n%s", diff)
	}
	if a.GetAnnotations()["helm.sh/resource-policy"] != "keep" {
		t.Error("uninstalling the chart would delete every LogPipeline")
	}
}

func TestInstalledArgumentsAreUnderstood(t *testing.T) {
	installs := map[string]struct {
		manifests []byte
		want      options
	}{
		"chart": {
			template(t),
			options{ingesterImage: "logpipeline.local/ingester:dev", logFormat: "json", leaderElect: true, concurrency: 8, pprofAddress: "0", metrics: metricsOptions{secure: true}, scaling: scalingOptions{service: "logpipeline-operator"}},
		},
		"chart with every value": {
			template(t, "--set", "operator.replicas=2", "--set", "watchNamespaces={a,b}", "--set", "operator.logFormat=text", "--set", "metricsAPI.enabled=false",
				"--set", "operator.maxConcurrentReconciles=20", "--set", "operator.pprof=true", "--set", "metrics.certificateSecret=x", "--set", "metrics.serviceMonitor.enabled=true",
				"--set", "ingester.image.repository=registry.example:5000/x/ingester", "--set", "ingester.image.tag=v1.2"),
			options{ingesterImage: "registry.example:5000/x/ingester:v1.2", logFormat: "text", leaderElect: true, namespaces: []string{"a", "b"}, concurrency: 20, pprofAddress: "127.0.0.1:6060", metrics: metricsOptions{secure: true, certificates: "/etc/logpipeline/metrics"}},
		},
		"chart with plain metrics": {
			template(t, "--set", "metrics.secure=false", "--set", "metrics.certificateSecret=unused"),
			options{ingesterImage: "logpipeline.local/ingester:dev", logFormat: "json", leaderElect: true, concurrency: 8, pprofAddress: "0", scaling: scalingOptions{service: "logpipeline-operator"}},
		},
		"kustomize": {
			output(t, tool(t, "kubectl"), "kustomize", filepath.Join(root, "config/default")),
			options{ingesterImage: "logpipeline.local/ingester:dev", logFormat: "json", leaderElect: true, concurrency: 8, pprofAddress: "0", metrics: metricsOptions{secure: true}, scaling: scalingOptions{service: "logpipeline-operator"}},
		},
	}
	for name, install := range installs {
		t.Run(name, func(t *testing.T) {
			deployment := decode[appsv1.Deployment](t, objects(t, install.manifests), "Deployment", "logpipeline-operator")
			container := deployment.Spec.Template.Spec.Containers[0]
			getenv := func(variable string) string {
				for _, v := range container.Env {
					if v.Name == variable && v.ValueFrom != nil {
						return "the pod's " + v.ValueFrom.FieldRef.FieldPath
					}
					if v.Name == variable {
						return v.Value
					}
				}
				return ""
			}
			got, err := parseOptions(container.Args, getenv, io.Discard)
			if err != nil {
				t.Fatal(err)
			}
			install.want.metrics.address, install.want.probeAddress, install.want.scaling.address = ":8443", ":8081", ":6443"
			install.want.scaling.pod, install.want.scaling.namespace = "the pod's metadata.name", "the pod's metadata.namespace"
			if diff := cmp.Diff(install.want, got, cmp.AllowUnexported(options{}, metricsOptions{}, scalingOptions{}), cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
		})
	}
}

func TestChartForSomeNamespacesGivesNoClusterWideRights(t *testing.T) {
	all := objects(t, template(t, "--set", "watchNamespaces={a,b}", "--set", "rbac.aggregate=false", "--set", "metricsAPI.enabled=false", "--set", "metrics.secure=false"))
	var roles []string
	for _, object := range all {
		switch object.GetKind() {
		case "ClusterRole", "ClusterRoleBinding":
			t.Errorf("%s %s", object.GetKind(), object.GetName())
		case "Role", "RoleBinding":
			roles = append(roles, object.GetKind()+" "+object.GetNamespace())
		}
	}
	slices.Sort(roles)
	if diff := cmp.Diff([]string{"Role a", "Role b", "Role logpipeline-system", "RoleBinding a", "RoleBinding b", "RoleBinding logpipeline-system"}, roles); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

// Where an operator of some namespaces serves metrics, which concern the whole
// cluster, it has the rights that this takes, and no more; and in its namespaces
// none of these, where they would mean nothing.
func TestMetricsTakeFewClusterWideRights(t *testing.T) {
	asking := []rbacv1.PolicyRule{
		{APIGroups: []string{"authentication.k8s.io"}, Resources: []string{"tokenreviews"}, Verbs: []string{"create"}},
		{APIGroups: []string{"authorization.k8s.io"}, Resources: []string{"subjectaccessreviews"}, Verbs: []string{"create"}},
	}
	publishing := rbacv1.PolicyRule{
		APIGroups: []string{"apiregistration.k8s.io"}, Resources: []string{"apiservices"}, ResourceNames: []string{metricsapi.APIServiceName}, Verbs: []string{"get", "patch"},
	}
	tests := map[string]struct {
		value string
		want  []rbacv1.PolicyRule
	}{
		"both":                  {"metrics.secure=true", append([]rbacv1.PolicyRule{publishing}, asking...)},
		"for autoscalers alone": {"metrics.secure=false", append([]rbacv1.PolicyRule{publishing}, asking...)},
		"not for autoscalers":   {"metricsAPI.enabled=false", asking},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			all := objects(t, template(t, "--set", "watchNamespaces={a}", "--set", test.value))
			if diff := cmp.Diff(test.want, decode[rbacv1.ClusterRole](t, all, "ClusterRole", "logpipeline-operator").Rules); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
			for _, rule := range decode[rbacv1.Role](t, all, "Role", "logpipeline-operator").Rules {
				if slices.ContainsFunc(test.want, func(r rbacv1.PolicyRule) bool { return cmp.Equal(r, rule) }) {
					t.Errorf("Role has %v", rule)
				}
			}
		})
	}
}

func TestChartIsInOrderAndStable(t *testing.T) {
	output(t, tool(t, "helm"), "lint", "--strict", chartPath())
	first := template(t)
	if diff := cmp.Diff(string(first), string(template(t))); diff != "" {
		t.Errorf("the same values give other objects:\n%s", diff)
	}
	for _, object := range objects(t, first) {
		if object.GetAnnotations()["helm.sh/hook"] != "" {
			t.Errorf("%s %s is a hook, which only Helm runs", object.GetKind(), object.GetName())
		}
	}
}

func TestSeveralOperatorsAreNotDisruptedAtOnce(t *testing.T) {
	budgets := func(replicas string) (n int) {
		for _, object := range objects(t, template(t, "--set", "operator.replicas="+replicas)) {
			if object.GetKind() == "PodDisruptionBudget" {
				n++
			}
		}
		return n
	}
	if one, two := budgets("1"), budgets("2"); one != 0 || two != 1 {
		t.Errorf("%d budgets for one operator, which could then never be moved, and %d for two", one, two)
	}
}

// What the API server is told to ask is what the operator serves.
func TestInstalledMetricsAPI(t *testing.T) {
	installs := map[string][]byte{
		"chart":     template(t),
		"kustomize": output(t, tool(t, "kubectl"), "kustomize", filepath.Join(root, "config/default")),
	}
	for name, manifests := range installs {
		t.Run(name, func(t *testing.T) {
			all := objects(t, manifests)
			want := map[string]any{
				"group": "external.metrics.k8s.io", "version": "v1beta1", "groupPriorityMinimum": 100.0, "versionPriority": 100.0,
				"service": map[string]any{"name": "logpipeline-operator", "namespace": "logpipeline-system", "port": 443.0},
			}
			if diff := cmp.Diff(want, find(t, all, "APIService", metricsapi.APIServiceName).Object["spec"]); diff != "" {
				t.Errorf("APIService: -want +got\n%s", diff)
			}
			service := decode[corev1.Service](t, all, "Service", "logpipeline-operator")
			pod := decode[appsv1.Deployment](t, all, "Deployment", "logpipeline-operator").Spec.Template
			if !labels.SelectorFromSet(service.Spec.Selector).Matches(labels.Set(pod.Labels)) || service.Namespace != "logpipeline-system" {
				t.Errorf("Service in %q selects %v, but pods have %v", service.Namespace, service.Spec.Selector, pod.Labels)
			}
			port := service.Spec.Ports[0]
			served := slices.IndexFunc(pod.Spec.Containers[0].Ports, func(p corev1.ContainerPort) bool { return p.Name == port.TargetPort.StrVal })
			if port.Port != 443 || served < 0 || pod.Spec.Containers[0].Ports[served].ContainerPort != 6443 {
				t.Errorf("port %+v leads to none of %+v", port, pod.Spec.Containers[0].Ports)
			}
			reader := decode[rbacv1.RoleBinding](t, all, "RoleBinding", "logpipeline-operator-authentication-reader")
			subject := rbacv1.Subject{Kind: "ServiceAccount", Name: "logpipeline-operator", Namespace: "logpipeline-system"}
			if diff := cmp.Diff([]rbacv1.Subject{subject}, reader.Subjects); diff != "" || reader.Namespace != "kube-system" || reader.RoleRef.Name != "extension-apiserver-authentication-reader" {
				t.Errorf("RoleBinding in %q to %q: -want +got\n%s", reader.Namespace, reader.RoleRef.Name, diff)
			}
		})
	}
}

func TestChartWithoutMetricsAPI(t *testing.T) {
	for _, object := range objects(t, template(t, "--set", "metricsAPI.enabled=false")) {
		if object.GetKind() == "APIService" || object.GetKind() == "Service" && object.GetName() == "logpipeline-operator" || object.GetNamespace() == "kube-system" {
			t.Errorf("%s %s", object.GetKind(), object.GetName())
		}
	}
}

func TestChartRefusesBadValues(t *testing.T) {
	tests := map[string]struct{ value, says string }{
		"replicas below 0":  {"operator.replicas=-1", "/operator/replicas"},
		"no number":         {"operator.replicas=two", "/operator/replicas"},
		"no reconciles":     {"operator.maxConcurrentReconciles=0", "/operator/maxConcurrentReconciles"},
		"half secure":       {"metrics.secure=half", "/metrics/secure"},
		"unknown value":     {"operator.replica=2", "replica"},
		"unknown format":    {"operator.logFormat=xml", "/operator/logFormat"},
		"pull policy":       {"operator.image.pullPolicy=Sometimes", "/operator/image/pullPolicy"},
		"no ingester image": {"ingester.image.repository=", "/ingester/image/repository"},
		"namespace's name":  {"watchNamespaces={Prod}", "/watchNamespaces/0"},
		"neither yes or no": {"metricsAPI.enabled=perhaps", "/metricsAPI/enabled"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			command := exec.CommandContext(t.Context(), tool(t, "helm"), "template", "x", chartPath(), "--set", test.value)
			said, err := command.CombinedOutput()
			if err == nil || !strings.Contains(string(said), test.says) || !strings.Contains(string(said), "schema") {
				t.Errorf("%v, want it to name %q:\n%s", err, test.says, said)
			}
		})
	}
}

func chartPath() string { return filepath.Join(root, "charts/logpipeline") }

func template(t *testing.T, arguments ...string) []byte {
	t.Helper()
	return output(t, tool(t, "helm"), append([]string{"template", "logpipeline", chartPath(), "--namespace", "logpipeline-system"}, arguments...)...)
}

// tool is the path of a program that make builds, or of the one that the
// environment names, such as HELM.
func tool(t *testing.T, name string) string {
	t.Helper()
	path := os.Getenv(strings.ToUpper(name))
	if path == "" {
		path = filepath.Join(root, ".build/bin", name)
	}
	if _, err := os.Stat(path); err != nil {
		t.Fatalf("no %s (%v): run make %s, or set %s", name, err, name, strings.ToUpper(name))
	}
	return path
}

func output(t *testing.T, program string, arguments ...string) []byte {
	t.Helper()
	command := exec.CommandContext(t.Context(), program, arguments...)
	var stderr bytes.Buffer
	command.Stderr = &stderr
	stdout, err := command.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s", command, err, stderr.String())
	}
	return stdout
}

func objects(t *testing.T, manifests []byte) []unstructured.Unstructured {
	t.Helper()
	var all []unstructured.Unstructured
	decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(manifests), 4096)
	for {
		var object unstructured.Unstructured
		err := decoder.Decode(&object.Object)
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		if len(object.Object) > 0 {
			all = append(all, object)
		}
	}
}

func find(t *testing.T, all []unstructured.Unstructured, kind, name string) unstructured.Unstructured {
	t.Helper()
	for _, object := range all {
		if object.GetKind() == kind && object.GetName() == name {
			return object
		}
	}
	t.Fatalf("no %s %s", kind, name)
	return unstructured.Unstructured{}
}

func decode[T any](t *testing.T, all []unstructured.Unstructured, kind, name string) T {
	t.Helper()
	var typed T
	if err := runtime.DefaultUnstructuredConverter.FromUnstructuredWithValidation(find(t, all, kind, name).Object, &typed, true); err != nil {
		t.Fatal(err)
	}
	return typed
}
