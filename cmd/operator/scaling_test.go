package main

import (
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestScalingOptionsComeFromThePod(t *testing.T) {
	environment := map[string]string{
		imageVariable: "ingester", podVariable: "operator-1", namespaceVariable: "system", serviceVariable: "operator",
	}
	got, err := parseOptions([]string{"--kubeconfig=/some/file"}, func(name string) string { return environment[name] }, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	want := scalingOptions{address: ":6443", service: "operator", pod: "operator-1", namespace: "system", kubeconfig: "/some/file"}
	if diff := cmp.Diff(want, got.scaling, cmp.AllowUnexported(scalingOptions{})); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

func TestMetricsAPINeedsToKnowItsPod(t *testing.T) {
	environment := map[string]string{imageVariable: "ingester", podVariable: "operator-1"}
	_, err := parseOptions([]string{"--metrics-api-service=operator"}, func(name string) string { return environment[name] }, io.Discard)
	if want := `POD_NAMESPACE is ""`; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("error is %v, want it to say %q", err, want)
	}
}
