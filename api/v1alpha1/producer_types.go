package v1alpha1

import "k8s.io/apimachinery/pkg/api/resource"

// ProducerCompression is the codec of record batches.
//
// +kubebuilder:validation:Enum=none;gzip;snappy;lz4;zstd
type ProducerCompression string

// RequiredAcks says which replicas must have a record batch before it is
// acknowledged.
//
// +kubebuilder:validation:Enum=All;One
type RequiredAcks string

const (
	// RequiredAcksAll waits for all in-sync replicas.
	RequiredAcksAll RequiredAcks = "All"
	// RequiredAcksOne waits for the leader alone.
	RequiredAcksOne RequiredAcks = "One"
)

// ProducerSpec says how records are grouped for Kafka.
//
// +kubebuilder:validation:XValidation:rule="!has(self.compressionLevel) || has(self.compression) && self.compression in ['gzip', 'lz4', 'zstd']",message="ingester.producer.compressionLevel needs ingester.producer.compression gzip, lz4 or zstd: no other codec has levels",fieldPath=".compressionLevel"
type ProducerSpec struct {
	// batchRecords bounds the records of one record batch.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=1000000
	BatchRecords *int32 `json:"batchRecords,omitempty"`

	// batchBytes bounds the encoded bytes of one record batch; a larger record
	// travels alone. A managed topic's max.message.bytes follows it.
	// +optional
	BatchBytes *resource.Quantity `json:"batchBytes,omitempty"`

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

	// compression is the codec of the record batches: none, gzip, snappy, lz4
	// or zstd.
	// +optional
	Compression ProducerCompression `json:"compression,omitempty"`

	// compressionLevel is the codec's own: 1 to 9 for gzip and lz4, 1 to 22
	// for zstd. Left out: the codec's default.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=22
	CompressionLevel *int32 `json:"compressionLevel,omitempty"`

	// requiredAcks says which replicas must have a record batch: All that are
	// in sync, or One, the leader; One only with acknowledge Queued, and
	// without the broker's help against doubling.
	// +optional
	RequiredAcks RequiredAcks `json:"requiredAcks,omitempty"`

	// keyField is the dotted path of the field whose value chooses the
	// partition of a record and becomes its key. Left out, the records of a
	// request stay together, in whichever partition is free.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	KeyField string `json:"keyField,omitempty"`

	// headers are the names of request headers that become Kafka headers of
	// every record of the request.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=128
	// +kubebuilder:validation:items:Pattern="^[-!#$%&'*+.^_`|~0-9A-Za-z]+$"
	Headers []string `json:"headers,omitempty"`
}
