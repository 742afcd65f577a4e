package v1alpha1

import "k8s.io/apimachinery/pkg/api/resource"

// StorageType says what kind of store holds the segments.
//
// +kubebuilder:validation:Enum=PersistentVolumeClaim;Ephemeral
type StorageType string

const (
	// StoragePersistentVolumeClaim stores in a claim of the namespace.
	StoragePersistentVolumeClaim StorageType = "PersistentVolumeClaim"
	// StorageEphemeral stores in the pods, whose end is the end of what they
	// have stored.
	StorageEphemeral StorageType = "Ephemeral"
)

// StorageSpec is where and how records are stored.
//
// +kubebuilder:validation:XValidation:rule="self.type == oldSelf.type",message="storage.type is immutable: create another LogPipeline for another store"
// +kubebuilder:validation:XValidation:rule="(self.type == 'PersistentVolumeClaim') == has(self.persistentVolumeClaim)",message="storage.persistentVolumeClaim is required when storage.type is PersistentVolumeClaim, and must be left out otherwise"
// +kubebuilder:validation:XValidation:rule="self.type == 'Ephemeral' || !has(self.ephemeral)",message="storage.ephemeral must be left out unless storage.type is Ephemeral"
type StorageSpec struct {
	// type is PersistentVolumeClaim, or Ephemeral: what a pod has stored ends
	// with the pod. Immutable.
	// +required
	Type StorageType `json:"type"`

	// persistentVolumeClaim names the claim to store in.
	// +optional
	PersistentVolumeClaim *PersistentVolumeClaimStorage `json:"persistentVolumeClaim,omitempty"`

	// ephemeral bounds what a pod stores.
	// +optional
	Ephemeral *EphemeralStorage `json:"ephemeral,omitempty"`

	// segment says when a segment is sealed, whichever comes first.
	// +optional
	Segment SegmentSpec `json:"segment,omitzero"`
}

// PersistentVolumeClaimStorage stores in a claim.
type PersistentVolumeClaimStorage struct {
	// claimName is the name of a claim in the same namespace. More than one
	// consumer needs a claim that several nodes can mount, unless all run on
	// one node.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$`
	ClaimName string `json:"claimName"`
}

// EphemeralStorage stores in the pods.
type EphemeralStorage struct {
	// sizeLimit bounds what one pod stores, such as 10Gi: a pod that exceeds
	// it is evicted. Left out, the node's disk is the bound.
	// +optional
	SizeLimit *resource.Quantity `json:"sizeLimit,omitempty"`
}

// SegmentSpec says when a segment is sealed, whichever comes first.
type SegmentSpec struct {
	// maxBytes bounds the data of one segment, such as 64Mi.
	// +optional
	MaxBytes *resource.Quantity `json:"maxBytes,omitempty"`

	// maxAgeSeconds bounds the time from a segment's first record to its
	// seal.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=86400
	MaxAgeSeconds *int32 `json:"maxAgeSeconds,omitempty"`
}
