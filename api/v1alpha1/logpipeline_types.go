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
// +kubebuilder:printcolumn:name="Ingesters",type=string,JSONPath=`.status.ingester.ready`
// +kubebuilder:printcolumn:name="Consumers",type=string,JSONPath=`.status.consumer.ready`
// +kubebuilder:printcolumn:name="Lag",type=integer,JSONPath=`.status.observed.lagRecords`
// +kubebuilder:printcolumn:name="Delay",type=integer,JSONPath=`.status.observed.delaySeconds`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name="Endpoint",type=string,JSONPath=`.status.endpoint`,priority=1
// +kubebuilder:printcolumn:name="Topic",type=string,JSONPath=`.status.topic.name`,priority=1
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
//
// +kubebuilder:validation:XValidation:rule="!has(self.consumer.scaling) || !has(self.consumer.scaling.auto) || !has(self.consumer.scaling.auto.targets) || !has(self.storage.segment) || !has(self.storage.segment.maxAgeSeconds) || self.consumer.scaling.auto.targets.all(t, t.type != 'DelaySeconds' || t.value > self.storage.segment.maxAgeSeconds)",message="consumer.scaling.auto.targets: DelaySeconds must be above storage.segment.maxAgeSeconds, because a record is stored only when its segment is sealed: raise the target or lower the age",fieldPath=".consumer.scaling.auto.targets"
// +kubebuilder:validation:XValidation:rule="!has(self.deadLetter) || !has(self.deadLetter.topic) || !has(self.deadLetter.topic.name) || !has(self.topic.name) || self.deadLetter.topic.name != self.topic.name",message="deadLetter.topic.name must not be topic.name: records that cannot be delivered there need another topic",fieldPath=".deadLetter.topic.name"
type LogPipelineSpec struct {
	// suspend stops the pipeline: its autoscalers are removed, the ingesters
	// scaled to 0, and the consumers too, once they have stored what the topic
	// holds, or 10 minutes are over. The topic, the Service and what is stored
	// stay.
	// +optional
	Suspend bool `json:"suspend,omitempty"`

	// kafka says how the brokers are reached.
	// +required
	Kafka KafkaSpec `json:"kafka"`

	// topic is the Kafka topic between ingesters and consumers.
	// +optional
	// +kubebuilder:default={management: Managed, deletionPolicy: Retain}
	Topic TopicSpec `json:"topic,omitzero"`

	// deadLetter says where records go that cannot be delivered and whose
	// client cannot be told any more.
	// +optional
	DeadLetter DeadLetterSpec `json:"deadLetter,omitzero"`

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

	// aggregation says what is counted of the records that are stored. Left
	// out: nothing.
	// +optional
	Aggregation *AggregationSpec `json:"aggregation,omitempty"`

	// networkPolicy says who may open connections to the pods, and to whom
	// they may.
	// +optional
	NetworkPolicy NetworkPolicySpec `json:"networkPolicy,omitzero"`
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

	// observed is how far the consumers are behind. It is rounded and written
	// seldom; the metrics of the operator are exact.
	// +optional
	Observed *ObservedStatus `json:"observed,omitempty"`

	// conditions of the pipeline: Ready, Reconciling, Stalled, KafkaReachable,
	// TopicReady, StorageReady, IngesterAvailable, ConsumerAvailable,
	// AutoscalingActive.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=16
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// ObservedStatus is how far the consumers are behind, at a time. What is not
// known is left out; 0 is a number.
type ObservedStatus struct {
	// at is when this was observed.
	// +required
	At metav1.Time `json:"at"`

	// lagRecords are in the topic and not yet stored.
	// +optional
	LagRecords *int64 `json:"lagRecords,omitempty"`

	// delaySeconds is the age of the oldest record that is not yet stored; 0
	// when all are.
	// +optional
	DelaySeconds *int64 `json:"delaySeconds,omitempty"`

	// arrivalRecordsPerSecond come into the topic.
	// +optional
	ArrivalRecordsPerSecond *int64 `json:"arrivalRecordsPerSecond,omitempty"`

	// drainRecordsPerSecond are stored.
	// +optional
	DrainRecordsPerSecond *int64 `json:"drainRecordsPerSecond,omitempty"`

	// drainedInSeconds is when the lag is gone at these rates; left out when
	// it grows.
	// +optional
	DrainedInSeconds *int64 `json:"drainedInSeconds,omitempty"`
}
