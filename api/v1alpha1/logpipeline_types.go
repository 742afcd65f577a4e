package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// LogPipeline runs log ingestion: ingesters take records by HTTP and write
// them to a Kafka topic, consumers store them as NDJSON segments.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:shortName=lp,categories=all
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
// +kubebuilder:printcolumn:name="Ingesters",type=integer,JSONPath=`.status.ingester.readyReplicas`
// +kubebuilder:printcolumn:name="Consumers",type=integer,JSONPath=`.status.consumer.readyReplicas`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name="Endpoint",type=string,JSONPath=`.status.endpoint`,priority=1
// +kubebuilder:validation:XValidation:rule="size(self.metadata.name) <= 45 && self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')",message="metadata.name must be at most 45 lower-case letters, digits and dashes, begin with a letter and end with a letter or digit: Services are named after it"
type LogPipeline struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ObjectMeta `json:"metadata,omitzero"`

	// spec is what is wanted.
	// +required
	Spec LogPipelineSpec `json:"spec"`

	// status is what the operator has seen.
	// +optional
	Status LogPipelineStatus `json:"status,omitzero"`
}

// LogPipelineList is a list of LogPipelines.
//
// +kubebuilder:object:root=true
type LogPipelineList struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ListMeta `json:"metadata,omitzero"`
	Items           []LogPipeline `json:"items"`
}

// LogPipelineSpec is what is wanted. A tuning field that is left out takes
// the default of the release that runs.
type LogPipelineSpec struct {
	// suspend stops the pipeline: its Deployments are scaled to 0 after a
	// drain. The topic, the Service and what is stored stay.
	// +optional
	Suspend bool `json:"suspend,omitempty"`

	// kafka says how the brokers are reached.
	// +required
	Kafka KafkaSpec `json:"kafka"`

	// topic is the Kafka topic between ingesters and consumers.
	// +optional
	// +kubebuilder:default={management: Managed, deletionPolicy: Retain}
	Topic TopicSpec `json:"topic,omitzero"`

	// ingester configures the pods that take records by HTTP.
	// +optional
	// +kubebuilder:default={}
	Ingester IngesterSpec `json:"ingester,omitzero"`

	// consumer configures the pods that store records.
	// +optional
	// +kubebuilder:default={}
	Consumer ConsumerSpec `json:"consumer,omitzero"`

	// storage is where and how records are stored.
	// +required
	Storage StorageSpec `json:"storage"`
}

// KafkaSpec says how the brokers are reached.
type KafkaSpec struct {
	// bootstrapServers are 1 to 16 addresses, host:port, through which the
	// cluster is discovered.
	// +required
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:MaxLength=261
	// +kubebuilder:validation:items:Pattern=`^(\[[0-9A-Fa-f:.%]+\]|[0-9A-Za-z._-]+):[0-9]{1,5}$`
	BootstrapServers []string `json:"bootstrapServers"`
}

// LogPipelineStatus is what the operator has seen.
type LogPipelineStatus struct {
	// observedGeneration is the generation of the spec that this status is
	// about.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// topic is the topic that this pipeline writes and reads.
	// +optional
	Topic *TopicStatus `json:"topic,omitempty"`

	// ingester counts the pods that take records.
	// +optional
	Ingester *IngesterStatus `json:"ingester,omitempty"`

	// consumer counts the pods that store records.
	// +optional
	Consumer *ConsumerStatus `json:"consumer,omitempty"`

	// endpoint is the URL, within the cluster, to POST records to.
	// +optional
	// +kubebuilder:validation:MaxLength=512
	Endpoint string `json:"endpoint,omitempty"`

	// conditions of the pipeline: Ready, Reconciling, Stalled, KafkaReachable,
	// TopicReady, StorageReady, IngesterAvailable, ConsumerAvailable.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=16
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}
