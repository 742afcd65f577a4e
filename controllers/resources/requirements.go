package resources

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/logpipeline/logpipeline/api/v1alpha1"
)

// containerResources are the spec's, completed: the memory limit is derived
// where the spec has none, what is requested is the limit (a full queue must
// not be what gets a pod evicted), the disk that the pod may fill is requested
// (nor may a full spool), and a CPU request lets the scheduler place the pod.
// A disk of 0 bytes is none.
func containerResources(spec v1alpha1.ResourcesSpec, memory, disk int64) corev1.ResourceRequirements {
	limits, requests := spec.Limits.DeepCopy(), spec.Requests.DeepCopy()
	if limits == nil {
		limits = corev1.ResourceList{}
	}
	if requests == nil {
		requests = corev1.ResourceList{}
	}
	if _, found := limits[corev1.ResourceMemory]; !found {
		limit := *resource.NewQuantity(memory, resource.BinarySI)
		if requested := requests[corev1.ResourceMemory]; requested.Cmp(limit) > 0 {
			limit = requested
		}
		limits[corev1.ResourceMemory] = limit
	}
	request := func(name corev1.ResourceName, amount resource.Quantity) {
		if _, found := requests[name]; !found {
			requests[name] = atMost(amount, limits, name)
		}
	}
	request(corev1.ResourceMemory, limits[corev1.ResourceMemory])
	request(corev1.ResourceCPU, resource.MustParse("100m"))
	if disk > 0 {
		request(corev1.ResourceEphemeralStorage, *resource.NewQuantity(disk, resource.BinarySI))
	}
	return corev1.ResourceRequirements{Requests: requests, Limits: limits}
}

func atMost(amount resource.Quantity, limits corev1.ResourceList, name corev1.ResourceName) resource.Quantity {
	if limit, found := limits[name]; found && limit.Cmp(amount) < 0 {
		return limit
	}
	return amount
}

// goMemoryLimit is the value of GOMEMLIMIT, in bytes: nine tenths of the
// container's limit, so that the collector works harder before the kernel
// ends the process.
func goMemoryLimit(resources corev1.ResourceRequirements) int64 {
	return resources.Limits.Memory().Value() / 10 * 9
}
