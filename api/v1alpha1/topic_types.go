package v1alpha1

import "k8s.io/apimachinery/pkg/api/resource"

// TopicManagement says whether the operator changes the topic.
//
// +kubebuilder:validation:Enum=Managed;Existing
type TopicManagement string

const (
	// TopicManaged topics are created when absent, grown and configured.
	TopicManaged TopicManagement = "Managed"
	// TopicExisting topics are used, never changed or deleted.
	TopicExisting TopicManagement = "Existing"
)

// TopicDeletionPolicy says what becomes of the topic when the LogPipeline is
// deleted.
//
// +kubebuilder:validation:Enum=Retain;Delete
type TopicDeletionPolicy string

const (
	// TopicRetain leaves the topic.
	TopicRetain TopicDeletionPolicy = "Retain"
	// TopicDelete deletes a topic that the operator has created.
	TopicDelete TopicDeletionPolicy = "Delete"
)

// TopicSpec is the Kafka topic between ingesters and consumers.
//
// +kubebuilder:validation:XValidation:rule="has(self.name) == has(oldSelf.name) && (!has(self.name) || self.name == oldSelf.name)",message="topic.name is immutable: create another LogPipeline for another topic"
// +kubebuilder:validation:XValidation:rule="!has(self.partitions) || !has(oldSelf.partitions) || self.partitions >= oldSelf.partitions",message="topic.partitions only grows: Kafka cannot remove partitions",fieldPath=".partitions"
// +kubebuilder:validation:XValidation:rule="self.management != 'Existing' || has(self.name)",message="topic.name is required when topic.management is Existing"
// +kubebuilder:validation:XValidation:rule="self.management != 'Existing' || !(has(self.partitions) || has(self.replicationFactor) || has(self.config))",message="topic.partitions, topic.replicationFactor and topic.config must be left out when topic.management is Existing: such a topic is never changed"
// +kubebuilder:validation:XValidation:rule="self.management != 'Existing' || self.deletionPolicy == 'Retain'",message="topic.deletionPolicy must be Retain when topic.management is Existing: such a topic is never deleted"
type TopicSpec struct {
	// management is Managed (created when absent, grown, configured) or
	// Existing (used, never changed or deleted).
	// +optional
	// +kubebuilder:default=Managed
	Management TopicManagement `json:"management,omitempty"`

	// name of the topic. Left out, it is <namespace>.<name>. Immutable.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=249
	// +kubebuilder:validation:Pattern=`^[0-9A-Za-z._-]+$`
	// +kubebuilder:validation:XValidation:rule="self != '.' && self != '..' && !self.startsWith('__')",message="topic.name must not be \".\" or \"..\", nor begin with \"__\", which Kafka keeps for itself"
	Name string `json:"name,omitempty"`

	// partitions of the topic; it only grows. Left out, a new topic has as
	// many as the brokers' num.partitions says, and stays as it is.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=10000
	Partitions *int32 `json:"partitions,omitempty"`

	// replicationFactor of a new topic. Left out, the brokers'
	// default.replication.factor. It is not changed later: a difference is
	// shown in TopicReady.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=100
	ReplicationFactor *int32 `json:"replicationFactor,omitempty"`

	// config holds topic configurations of Kafka, such as retention.ms. Only
	// these keys are altered; a key taken out stays as it is. Left out,
	// max.message.bytes is kept large enough for maxRecordBytes, and
	// min.insync.replicas of a new topic is 2 where replicationFactor is at
	// least 3.
	// +optional
	// +kubebuilder:validation:MinProperties=1
	// +kubebuilder:validation:MaxProperties=64
	// +kubebuilder:validation:XValidation:rule="self.all(key, size(key) <= 128 && key.matches('^[a-z]+([._-][a-z0-9]+)*$'))",message="topic.config has keys such as retention.ms: lower-case words joined by dots, at most 128 characters"
	Config map[string]TopicConfigValue `json:"config,omitempty"`

	// deletionPolicy is Retain, or Delete: the topic is deleted with the
	// LogPipeline, if the operator has created it.
	// +optional
	// +kubebuilder:default=Retain
	DeletionPolicy TopicDeletionPolicy `json:"deletionPolicy,omitempty"`
}

// TopicConfigValue is the value of a topic configuration, as Kafka writes it.
//
// +kubebuilder:validation:MaxLength=1024
type TopicConfigValue string

// TopicStatus is the topic that a pipeline writes and reads: what it is is
// decided by clusterID and id, not by its name.
type TopicStatus struct {
	// name of the topic.
	// +required
	// +kubebuilder:validation:MaxLength=249
	Name string `json:"name"`

	// id that Kafka gave the topic.
	// +required
	// +kubebuilder:validation:MaxLength=64
	ID string `json:"id"`

	// clusterID of the Kafka cluster that holds the topic.
	// +required
	// +kubebuilder:validation:MaxLength=256
	ClusterID string `json:"clusterID"`

	// created is true when the operator created this very topic.
	// +required
	Created bool `json:"created"`

	// partitions that the topic has.
	// +required
	Partitions int32 `json:"partitions"`
}

// DeadLetterSpec says where records go that cannot be delivered and whose
// client cannot be told any more.
type DeadLetterSpec struct {
	// topic takes them. Left out: they stay on the disk of the pod, and end
	// with it.
	// +optional
	Topic *DeadLetterTopicSpec `json:"topic,omitempty"`

	// maxBytes bounds the disk that takes them in one pod while Kafka is
	// away, such as 64Mi. What does not fit is lost, counted and logged.
	// +optional
	MaxBytes *resource.Quantity `json:"maxBytes,omitempty"`
}

// DeadLetterTopicSpec is the Kafka topic of dead letters. It is never deleted.
//
// +kubebuilder:validation:XValidation:rule="self.management != 'Existing' || has(self.name)",message="deadLetter.topic.name is required when deadLetter.topic.management is Existing"
// +kubebuilder:validation:XValidation:rule="self.management != 'Existing' || !(has(self.partitions) || has(self.replicationFactor) || has(self.config))",message="deadLetter.topic.partitions, deadLetter.topic.replicationFactor and deadLetter.topic.config must be left out when deadLetter.topic.management is Existing: such a topic is never changed"
// +kubebuilder:validation:XValidation:rule="!has(self.partitions) || !has(oldSelf.partitions) || self.partitions >= oldSelf.partitions",message="deadLetter.topic.partitions only grows: Kafka cannot remove partitions",fieldPath=".partitions"
type DeadLetterTopicSpec struct {
	// management is Managed (created when absent, grown, configured) or
	// Existing (used, never changed).
	// +optional
	// +kubebuilder:default=Managed
	Management TopicManagement `json:"management,omitempty"`

	// name of the topic. Left out, it is <topic>.dead-letter.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=249
	// +kubebuilder:validation:Pattern=`^[0-9A-Za-z._-]+$`
	// +kubebuilder:validation:XValidation:rule="self != '.' && self != '..' && !self.startsWith('__')",message="deadLetter.topic.name must not be \".\" or \"..\", nor begin with \"__\", which Kafka keeps for itself"
	Name string `json:"name,omitempty"`

	// partitions of the topic; it only grows. Left out, a new topic has 1.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=1000
	Partitions *int32 `json:"partitions,omitempty"`

	// replicationFactor of a new topic. Left out, the brokers'
	// default.replication.factor.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=100
	ReplicationFactor *int32 `json:"replicationFactor,omitempty"`

	// config holds topic configurations of Kafka, such as retention.ms.
	// +optional
	// +kubebuilder:validation:MinProperties=1
	// +kubebuilder:validation:MaxProperties=64
	// +kubebuilder:validation:XValidation:rule="self.all(key, size(key) <= 128 && key.matches('^[a-z]+([._-][a-z0-9]+)*$'))",message="deadLetter.topic.config has keys such as retention.ms: lower-case words joined by dots, at most 128 characters"
	Config map[string]TopicConfigValue `json:"config,omitempty"`
}
