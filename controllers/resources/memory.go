package resources

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/logpipeline/logpipeline/api/v1alpha1"
	"github.com/logpipeline/logpipeline/ingester/config"
)

const mebibyte = int64(1) << 20

// runtimeBytes is what a process of ours takes beside its bounded buffers:
// code, stacks, connections and the garbage collector's head room.
const runtimeBytes = 128 * mebibyte

// ingesterMemory bounds an ingester: what the queue admits, once more as
// encoded record batches, and the process itself.
func ingesterMemory(c config.Config) int64 {
	return 2*int64(c.Queue.MaxBytes) + runtimeBytes
}

// leastIngesterMemory is what an ingester gets by with, the collector working
// harder: with a queue of 256Mi kept full by 64 connections, and GOMEMLIMIT at
// nine tenths of this, its resident memory was measured at 331Mi.
func leastIngesterMemory(c config.Config) int64 {
	return int64(c.Queue.MaxBytes) + 96*mebibyte
}

// What a consumer holds for each partition beside what it fetches: the buffer
// of the open segment, its connection and its stacks, and a codec's window.
const (
	partitionBytes = 320 << 10
	codecBytes     = mebibyte
)

// consumerMemory bounds a consumer, which may hold every partition: all that it
// fetches at a time, what stays open for each, and the process itself.
func consumerMemory(c config.Config, partitions int32) int64 {
	each := int64(partitionBytes)
	if c.Segment.Compression != config.CompressionNone {
		each += codecBytes
	}
	return int64(c.Consumer.FetchMaxTotalBytes) + int64(partitions)*each + runtimeBytes
}

// containerResources are the spec's, completed: the memory limit is derived
// where the spec has none, what is requested is the limit (a full queue must
// not be what gets a pod evicted), and a CPU request lets the scheduler place
// the pod.
func containerResources(spec v1alpha1.ResourcesSpec, memory int64) corev1.ResourceRequirements {
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
	if _, found := requests[corev1.ResourceMemory]; !found {
		requests[corev1.ResourceMemory] = limits[corev1.ResourceMemory]
	}
	if _, found := requests[corev1.ResourceCPU]; !found {
		requests[corev1.ResourceCPU] = defaultCPU(limits)
	}
	return corev1.ResourceRequirements{Requests: requests, Limits: limits}
}

func defaultCPU(limits corev1.ResourceList) resource.Quantity {
	request := resource.MustParse("100m")
	if limit, found := limits[corev1.ResourceCPU]; found && limit.Cmp(request) < 0 {
		return limit
	}
	return request
}

// goMemoryLimit is the value of GOMEMLIMIT, in bytes: nine tenths of the
// container's limit, so that the collector works harder before the kernel
// ends the process.
func goMemoryLimit(resources corev1.ResourceRequirements) int64 {
	return resources.Limits.Memory().Value() / 10 * 9
}
