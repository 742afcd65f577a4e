package v1alpha1

import "k8s.io/apimachinery/pkg/api/resource"

// OnLoss says what a consumer does with records that are gone before they
// were stored.
//
// +kubebuilder:validation:Enum=Stop;RecordGap
type OnLoss string

const (
	// OnLossStop stops the partition until somebody decides.
	OnLossStop OnLoss = "Stop"
	// OnLossRecordGap writes down which offsets are gone, and goes on.
	OnLossRecordGap OnLoss = "RecordGap"
)

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

	// onLoss is Stop, or RecordGap: when records are gone before they were
	// stored, such as by the topic's retention, their partition stops until
	// somebody decides, or the offsets are written down as a gap.
	// +optional
	OnLoss OnLoss `json:"onLoss,omitempty"`

	// sessionTimeoutSeconds is after how long without a sign of life the other
	// consumers take a pod's partitions over. The brokers bound it, to 6 to
	// 1800 unless configured otherwise.
	// +optional
	// +kubebuilder:validation:Minimum=6
	// +kubebuilder:validation:Maximum=1800
	SessionTimeoutSeconds *int32 `json:"sessionTimeoutSeconds,omitempty"`

	// fetchMaxBytes bounds one fetch of one partition, such as 4Mi.
	// +optional
	FetchMaxBytes *resource.Quantity `json:"fetchMaxBytes,omitempty"`

	// fetchMaxTotalBytes bounds what one pod has fetched and not yet written,
	// of all its partitions, such as 64Mi. The pods' memory limit is derived
	// from it.
	// +optional
	FetchMaxTotalBytes *resource.Quantity `json:"fetchMaxTotalBytes,omitempty"`

	// drainTimeoutSeconds bounds the last seal of a pod that is told to stop.
	// The pod's grace period is derived from it.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=3600
	DrainTimeoutSeconds *int32 `json:"drainTimeoutSeconds,omitempty"`

	// drainOnDelete has a LogPipeline that is deleted wait until the consumers
	// have stored what its topic holds, for 10 minutes at the most: the
	// ingesters go first, with what they have queued brought to Kafka. It does
	// not wait where the consumers are deleted as well, such as with the
	// namespace, or in the foreground.
	// +optional
	DrainOnDelete bool `json:"drainOnDelete,omitempty"`

	// scaling says how many pods run. Left out: 1. More than the topic has
	// partitions stand idle.
	// +optional
	Scaling *ConsumerScalingSpec `json:"scaling,omitempty"`

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

	// ready is readyReplicas of those wanted, for people, such as 2/3.
	// +optional
	// +kubebuilder:validation:MaxLength=32
	Ready string `json:"ready,omitempty"`

	// group is the Kafka consumer group.
	// +required
	// +kubebuilder:validation:MaxLength=512
	Group string `json:"group"`
}
