package v1alpha1

import "k8s.io/apimachinery/pkg/api/resource"

// Acknowledge is what a receipt promises.
//
// +kubebuilder:validation:Enum=Produced;Queued
type Acknowledge string

const (
	// AcknowledgeProduced answers when all in-sync replicas have the records.
	AcknowledgeProduced Acknowledge = "Produced"
	// AcknowledgeQueued answers when the records are in the pod's spool, or,
	// without one, in its memory.
	AcknowledgeQueued Acknowledge = "Queued"
)

// IngesterSpec configures the pods that take records by HTTP.
//
// +kubebuilder:validation:XValidation:rule="!has(self.spool) || self.acknowledge == 'Queued'",message="ingester.spool needs ingester.acknowledge Queued: with Produced a request waits for Kafka and nothing is spooled",fieldPath=".spool"
// +kubebuilder:validation:XValidation:rule="!has(self.producer) || !has(self.producer.requiredAcks) || self.producer.requiredAcks == 'All' || self.acknowledge == 'Queued'",message="ingester.producer.requiredAcks One needs ingester.acknowledge Queued: Produced promises that all in-sync replicas have the records",fieldPath=".producer.requiredAcks"
// +kubebuilder:validation:XValidation:rule="!has(self.authentication) || !has(self.authentication.clientCertificates) || has(self.tls)",message="ingester.authentication.clientCertificates needs ingester.tls: certificates are shown over TLS only",fieldPath=".authentication.clientCertificates"
type IngesterSpec struct {
	// acknowledge says what has become of the records of a request when it is
	// answered: Produced, all in-sync replicas of Kafka have them, or Queued,
	// they are in the pod's spool, or, without one, in its memory. A client
	// may ask for more, never for less.
	// +optional
	// +kubebuilder:default=Produced
	Acknowledge Acknowledge `json:"acknowledge,omitempty"`

	// queue bounds what waits for Kafka in one pod.
	// +optional
	Queue QueueSpec `json:"queue,omitzero"`

	// spool is the write-ahead log, on the pod's disk, of what is acknowledged
	// as Queued. Left out: none, and what is queued is in memory alone.
	// +optional
	Spool *SpoolSpec `json:"spool,omitempty"`

	// producer says how records are grouped for Kafka.
	// +optional
	Producer ProducerSpec `json:"producer,omitzero"`

	// requestLimits bound one request, and how many there are at once.
	// +optional
	RequestLimits RequestLimitsSpec `json:"requestLimits,omitzero"`

	// authentication says who may send records: whoever satisfies one of what
	// is given here; everybody, where nothing is.
	// +optional
	Authentication AuthenticationSpec `json:"authentication,omitzero"`

	// tls serves HTTPS; {} takes the Secret <name of the LogPipeline>-tls. Left
	// out: plain HTTP.
	// +optional
	TLS *IngesterTLSSpec `json:"tls,omitempty"`

	// drain is what a pod does once it is told to stop. The pod's grace
	// period is derived from it.
	// +optional
	Drain DrainSpec `json:"drain,omitzero"`

	// scaling says how many pods run. Left out: 2.
	// +optional
	Scaling *IngesterScalingSpec `json:"scaling,omitempty"`

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

// SpoolSpec is the write-ahead log of what is acknowledged as Queued.
type SpoolSpec struct {
	// maxBytes bounds the spool on the disk of one pod, such as 1Gi. It
	// outlives a crash of the container, not the removal of the pod.
	// +required
	MaxBytes resource.Quantity `json:"maxBytes"`
}

// RequestLimitsSpec bounds one request, and how many there are at once.
type RequestLimitsSpec struct {
	// maxBodyBytes bounds a request's body, as sent and decompressed, such as
	// 16Mi.
	// +optional
	MaxBodyBytes *resource.Quantity `json:"maxBodyBytes,omitempty"`

	// maxRecordBytes bounds one record, such as 1Mi. A managed topic's
	// max.message.bytes follows it.
	// +optional
	MaxRecordBytes *resource.Quantity `json:"maxRecordBytes,omitempty"`

	// maxDepth bounds how deep arrays and objects of a record are nested.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=10000
	MaxDepth *int32 `json:"maxDepth,omitempty"`

	// maxConnections bounds the connections that are open at once in one pod;
	// more wait to be accepted.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=1000000
	MaxConnections *int32 `json:"maxConnections,omitempty"`

	// maxInFlight bounds the requests that are handled at once in one pod.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=1000000
	MaxInFlight *int32 `json:"maxInFlight,omitempty"`

	// minBodyBytesPerSecond is how fast a body has to come, after a grace
	// time; 0 means as slowly as it likes, within bodyTimeoutSeconds.
	// +optional
	MinBodyBytesPerSecond *resource.Quantity `json:"minBodyBytesPerSecond,omitempty"`

	// bodyTimeoutSeconds bounds the reading of one body.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=3600
	BodyTimeoutSeconds *int32 `json:"bodyTimeoutSeconds,omitempty"`
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

	// ready is readyReplicas of those wanted, for people, such as 2/3.
	// +optional
	// +kubebuilder:validation:MaxLength=32
	Ready string `json:"ready,omitempty"`
}
