package v1alpha1

// IngesterScalingSpec says how many ingesters run: exactly one of its fields
// is set.
//
// +kubebuilder:validation:XValidation:rule="[has(self.fixed), has(self.auto), has(self.external)].filter(set, set).size() == 1",message="ingester.scaling needs exactly one of fixed (a number of pods), auto (between minReplicas and maxReplicas) and external (an autoscaler of your own)"
type IngesterScalingSpec struct {
	// fixed keeps a number of pods.
	// +optional
	Fixed *FixedScaling `json:"fixed,omitempty"`

	// auto has a HorizontalPodAutoscaler follow the queues.
	// +optional
	Auto *IngesterAutoScaling `json:"auto,omitempty"`

	// external leaves the number of pods to an autoscaler of your own, such as
	// a HorizontalPodAutoscaler or a KEDA ScaledObject of Deployment
	// <name>-ingester. There are 2 until it has said otherwise.
	// +optional
	External *ExternalScaling `json:"external,omitempty"`
}

// ConsumerScalingSpec says how many consumers run: exactly one of its fields
// is set.
//
// +kubebuilder:validation:XValidation:rule="[has(self.fixed), has(self.auto), has(self.external)].filter(set, set).size() == 1",message="consumer.scaling needs exactly one of fixed (a number of pods), auto (between minReplicas and maxReplicas) and external (an autoscaler of your own)"
type ConsumerScalingSpec struct {
	// fixed keeps a number of pods.
	// +optional
	Fixed *FixedScaling `json:"fixed,omitempty"`

	// auto has a HorizontalPodAutoscaler follow what is not yet stored.
	// +optional
	Auto *ConsumerAutoScaling `json:"auto,omitempty"`

	// external leaves the number of pods to an autoscaler of your own, such as
	// a HorizontalPodAutoscaler or a KEDA ScaledObject of Deployment
	// <name>-consumer. There is 1 until it has said otherwise.
	// +optional
	External *ExternalScaling `json:"external,omitempty"`
}

// ExternalScaling leaves the number of pods to an autoscaler that is not the
// operator's. The operator writes spec.replicas of the Deployment only to
// suspend the pipeline, and to resume it.
type ExternalScaling struct{}

// FixedScaling keeps a number of pods.
type FixedScaling struct {
	// replicas is the number of pods.
	// +required
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=1000
	Replicas int32 `json:"replicas"`
}

// IngesterAutoScaling has a HorizontalPodAutoscaler follow the queues.
//
// +kubebuilder:validation:XValidation:rule="!has(self.minReplicas) || self.minReplicas <= self.maxReplicas",message="ingester.scaling.auto.minReplicas must not be above ingester.scaling.auto.maxReplicas: lower the one or raise the other",fieldPath=".minReplicas"
type IngesterAutoScaling struct {
	// minReplicas is the least number of pods. Left out: 2.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=1000
	MinReplicas *int32 `json:"minReplicas,omitempty"`

	// maxReplicas is the largest number of pods.
	// +required
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=1000
	MaxReplicas int32 `json:"maxReplicas"`

	// queueTargetPercent of queue.maxBytes is how full the queues shall be on
	// average.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=100
	QueueTargetPercent *int32 `json:"queueTargetPercent,omitempty"`

	// targetCPUPercent of the CPU that the pods request shall be used on
	// average. Left out: the CPU is not looked at. It needs a metrics server,
	// without which pods are added but never taken away.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=1000
	TargetCPUPercent *int32 `json:"targetCPUPercent,omitempty"`

	// stabilizationWindowSeconds is how long fewer pods must have been enough
	// before any is taken away.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=3600
	StabilizationWindowSeconds *int32 `json:"stabilizationWindowSeconds,omitempty"`
}

// ConsumerAutoScaling has a HorizontalPodAutoscaler follow what is not yet
// stored.
//
// +kubebuilder:validation:XValidation:rule="!has(self.minReplicas) || self.minReplicas <= self.maxReplicas",message="consumer.scaling.auto.minReplicas must not be above consumer.scaling.auto.maxReplicas: lower the one or raise the other",fieldPath=".minReplicas"
type ConsumerAutoScaling struct {
	// minReplicas is the least number of pods. 0 needs an API server whose
	// HorizontalPodAutoscalers scale to zero (by default from Kubernetes 1.37
	// on); with others it counts as 1. Left out: 1.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=1000
	MinReplicas *int32 `json:"minReplicas,omitempty"`

	// maxReplicas is the largest number of pods. There are never more than the
	// topic has partitions.
	// +required
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=1000
	MaxReplicas int32 `json:"maxReplicas"`

	// targets are what each pod, or the pipeline, shall be held at; the one
	// that wants most pods counts. Left out: DelaySeconds 60, or twice
	// storage.segment.maxAgeSeconds where that is more.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=2
	Targets []ConsumerTarget `json:"targets,omitempty"`

	// targetCPUPercent of the CPU that the pods request shall be used on
	// average. Left out: the CPU is not looked at. It needs a metrics server,
	// without which pods are added but never taken away.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=1000
	TargetCPUPercent *int32 `json:"targetCPUPercent,omitempty"`

	// stabilizationWindowSeconds is how long fewer pods must have been enough
	// before any is taken away.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=3600
	StabilizationWindowSeconds *int32 `json:"stabilizationWindowSeconds,omitempty"`
}

// ConsumerTargetType says what a target is about.
//
// +kubebuilder:validation:Enum=LagRecords;DelaySeconds
type ConsumerTargetType string

const (
	// TargetLagRecords holds the records that are not yet stored at a number
	// for each pod.
	TargetLagRecords ConsumerTargetType = "LagRecords"
	// TargetDelaySeconds holds the age of the oldest record that is not yet
	// stored below a number of seconds.
	TargetDelaySeconds ConsumerTargetType = "DelaySeconds"
)

// ConsumerTarget is what is held at a value.
type ConsumerTarget struct {
	// type is LagRecords, the records that are not yet stored, for each pod,
	// or DelaySeconds, the age of the oldest of them; the latter must be above
	// storage.segment.maxAgeSeconds.
	// +required
	Type ConsumerTargetType `json:"type"`

	// value to hold: records for each pod, or seconds.
	// +required
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=1000000000000
	Value int64 `json:"value"`
}
