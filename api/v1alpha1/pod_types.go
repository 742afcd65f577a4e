package v1alpha1

import corev1 "k8s.io/api/core/v1"

// PodSpec shapes the pods of one role.
//
// +kubebuilder:validation:XValidation:rule="!has(self.labels) || self.labels.all(key, !key.startsWith('app.kubernetes.io/') && !key.startsWith('ingest.logpipeline.io/'))",message="pod.labels must not begin with app.kubernetes.io/ or ingest.logpipeline.io/, by which the operator finds its pods: choose another prefix",fieldPath=".labels"
// +kubebuilder:validation:XValidation:rule="!has(self.annotations) || self.annotations.all(key, !key.startsWith('ingest.logpipeline.io/'))",message="pod.annotations must not begin with ingest.logpipeline.io/, which the operator keeps for itself: choose another prefix",fieldPath=".annotations"
type PodSpec struct {
	// resources of the pod's container.
	// +optional
	Resources ResourcesSpec `json:"resources,omitzero"`

	// scheduling says on which nodes the pods run.
	// +optional
	Scheduling SchedulingSpec `json:"scheduling,omitzero"`

	// labels of the pods, beside the operator's own.
	// +optional
	// +kubebuilder:validation:MaxProperties=32
	Labels map[string]LabelValue `json:"labels,omitempty"`

	// annotations of the pods, beside the operator's own.
	// +optional
	// +kubebuilder:validation:MaxProperties=32
	Annotations map[string]AnnotationValue `json:"annotations,omitempty"`

	// serviceAccountAnnotations stand on the role's ServiceAccount: by them a
	// cloud knows which rights the pods have there.
	// +optional
	// +kubebuilder:validation:MaxProperties=16
	ServiceAccountAnnotations map[string]AnnotationValue `json:"serviceAccountAnnotations,omitempty"`
}

// LabelValue is the value of a label.
//
// +kubebuilder:validation:MaxLength=63
// +kubebuilder:validation:Pattern=`^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$`
type LabelValue string

// AnnotationValue is the value of an annotation.
//
// +kubebuilder:validation:MaxLength=4096
type AnnotationValue string

// ResourcesSpec are requests and limits of one container. What is left out of
// the memory and of the disk is derived from the configured bounds.
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

// SchedulingSpec says on which nodes the pods run. They are spread over nodes
// and zones in any case, where that is possible.
type SchedulingSpec struct {
	// nodeSelector are labels that a node must have.
	// +optional
	// +kubebuilder:validation:MaxProperties=32
	NodeSelector map[string]LabelValue `json:"nodeSelector,omitempty"`

	// tolerations of taints of nodes.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=32
	Tolerations []corev1.Toleration `json:"tolerations,omitempty"`

	// affinity to nodes and to other pods, as that of a pod.
	// +optional
	Affinity *corev1.Affinity `json:"affinity,omitempty"`

	// priorityClassName is the name of the pods' PriorityClass.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	PriorityClassName string `json:"priorityClassName,omitempty"`
}
