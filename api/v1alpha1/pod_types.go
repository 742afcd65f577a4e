package v1alpha1

import corev1 "k8s.io/api/core/v1"

// ScalingSpec says how many pods run: exactly one of its fields is set.
//
// +kubebuilder:validation:ExactlyOneOf=fixed
type ScalingSpec struct {
	// fixed keeps a number of pods.
	// +optional
	Fixed *FixedScaling `json:"fixed,omitempty"`
}

// FixedScaling keeps a number of pods.
type FixedScaling struct {
	// replicas is the number of pods.
	// +required
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=1000
	Replicas int32 `json:"replicas"`
}

// PodSpec shapes the pods of one role.
type PodSpec struct {
	// resources of the pod's container.
	// +optional
	Resources ResourcesSpec `json:"resources,omitzero"`
}

// ResourcesSpec are requests and limits of one container. What is left out of
// the memory is derived from the configured bounds.
type ResourcesSpec struct {
	// requests are what the scheduler sets aside.
	// +optional
	// +kubebuilder:validation:MaxProperties=16
	Requests corev1.ResourceList `json:"requests,omitempty"`

	// limits are what the container cannot exceed. The Go runtime's memory
	// limit follows limits.memory.
	// +optional
	// +kubebuilder:validation:MaxProperties=16
	Limits corev1.ResourceList `json:"limits,omitempty"`
}
