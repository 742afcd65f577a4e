package v1alpha1

// ConsumerSpec configures the pods that store records.
//
// +kubebuilder:validation:XValidation:rule="has(self.group) == has(oldSelf.group) && (!has(self.group) || self.group == oldSelf.group)",message="consumer.group is immutable: create another LogPipeline for another group"
type ConsumerSpec struct {
	// group is the Kafka consumer group. Left out, it is logpipeline.<topic>.
	// Immutable.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=249
	// +kubebuilder:validation:Pattern=`^[0-9A-Za-z._-]+$`
	Group string `json:"group,omitempty"`

	// scaling says how many pods run. Left out: 1. More than the topic has
	// partitions stand idle.
	// +optional
	Scaling *ScalingSpec `json:"scaling,omitempty"`

	// pod shapes the pods.
	// +optional
	Pod PodSpec `json:"pod,omitzero"`
}

// ConsumerStatus counts the pods that store records.
type ConsumerStatus struct {
	// replicas that exist.
	// +required
	Replicas int32 `json:"replicas"`

	// readyReplicas that are running.
	// +required
	ReadyReplicas int32 `json:"readyReplicas"`

	// group is the Kafka consumer group.
	// +required
	// +kubebuilder:validation:MaxLength=512
	Group string `json:"group"`
}
