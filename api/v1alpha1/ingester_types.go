package v1alpha1

import "k8s.io/apimachinery/pkg/api/resource"

// IngesterSpec configures the pods that take records by HTTP.
type IngesterSpec struct {
	// queue bounds what waits for Kafka in one pod.
	// +optional
	Queue QueueSpec `json:"queue,omitzero"`

	// producer says how records are grouped for Kafka.
	// +optional
	Producer ProducerSpec `json:"producer,omitzero"`

	// requestLimits bound one request.
	// +optional
	RequestLimits RequestLimitsSpec `json:"requestLimits,omitzero"`

	// drain is what a pod does once it is told to stop. The pod's grace
	// period is derived from it.
	// +optional
	Drain DrainSpec `json:"drain,omitzero"`

	// scaling says how many pods run. Left out: 2.
	// +optional
	Scaling *ScalingSpec `json:"scaling,omitempty"`

	// pod shapes the pods.
	// +optional
	Pod PodSpec `json:"pod,omitzero"`
}

// QueueSpec bounds what waits for Kafka in one pod.
type QueueSpec struct {
	// maxBytes bounds the bodies that have been read, or admitted to be read,
	// and not yet been acknowledged by Kafka, such as 256Mi. The pods' memory
	// limit is derived from it.
	// +optional
	MaxBytes *resource.Quantity `json:"maxBytes,omitempty"`
}

// ProducerSpec says how records are grouped for Kafka.
type ProducerSpec struct {
	// batchRecords bounds the records of one record batch.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=1000000
	BatchRecords *int32 `json:"batchRecords,omitempty"`

	// batchMaxDelayMilliseconds bounds how long a record waits for others to
	// share its record batch.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=10000
	BatchMaxDelayMilliseconds *int32 `json:"batchMaxDelayMilliseconds,omitempty"`

	// deliveryTimeoutSeconds bounds how long a record batch is retried.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=3600
	DeliveryTimeoutSeconds *int32 `json:"deliveryTimeoutSeconds,omitempty"`
}

// RequestLimitsSpec bounds one request.
type RequestLimitsSpec struct {
	// maxBodyBytes bounds a request's body, such as 16Mi.
	// +optional
	MaxBodyBytes *resource.Quantity `json:"maxBodyBytes,omitempty"`

	// maxRecordBytes bounds one record, such as 1Mi. A managed topic's
	// max.message.bytes follows it.
	// +optional
	MaxRecordBytes *resource.Quantity `json:"maxRecordBytes,omitempty"`
}

// DrainSpec is what a pod does once it is told to stop.
type DrainSpec struct {
	// delaySeconds is how long new requests are still taken, while load
	// balancers learn that the pod leaves.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=600
	DelaySeconds *int32 `json:"delaySeconds,omitempty"`

	// timeoutSeconds bounds the delivery of what has been accepted, from the
	// end of the delay on.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=3600
	TimeoutSeconds *int32 `json:"timeoutSeconds,omitempty"`
}

// IngesterStatus counts the pods that take records.
type IngesterStatus struct {
	// replicas that exist.
	// +required
	Replicas int32 `json:"replicas"`

	// readyReplicas that take requests.
	// +required
	ReadyReplicas int32 `json:"readyReplicas"`
}
