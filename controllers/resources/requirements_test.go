package resources

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/logpipeline/logpipeline/api/v1alpha1"
)

func TestContainerResources(t *testing.T) {
	const derived = 640 << 20
	list := func(pairs ...string) corev1.ResourceList {
		l := corev1.ResourceList{}
		for i := 0; i < len(pairs); i += 2 {
			l[corev1.ResourceName(pairs[i])] = resource.MustParse(pairs[i+1])
		}
		return l
	}
	tests := map[string]struct {
		spec             v1alpha1.ResourcesSpec
		disk             int64
		requests, limits corev1.ResourceList
	}{
		"nothing given": {
			v1alpha1.ResourcesSpec{}, 1 << 30,
			list("ephemeral-storage", "1Gi", "cpu", "100m", "memory", "640Mi"), list("memory", "640Mi"),
		},
		"more requested than derived": {
			v1alpha1.ResourcesSpec{Requests: list("memory", "1Gi")}, 0,
			list("cpu", "100m", "memory", "1Gi"), list("memory", "1Gi"),
		},
		"less requested than derived": {
			v1alpha1.ResourcesSpec{Requests: list("memory", "64Mi")}, 0,
			list("cpu", "100m", "memory", "64Mi"), list("memory", "640Mi"),
		},
		"limits given": {
			v1alpha1.ResourcesSpec{Limits: list("memory", "1Gi", "cpu", "50m", "ephemeral-storage", "1Gi")}, 2 << 30,
			list("cpu", "50m", "memory", "1Gi", "ephemeral-storage", "1Gi"), list("memory", "1Gi", "cpu", "50m", "ephemeral-storage", "1Gi"),
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got := containerResources(test.spec, derived, test.disk)
			if diff := cmp.Diff(corev1.ResourceRequirements{Requests: test.requests, Limits: test.limits}, got); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
		})
	}
}
