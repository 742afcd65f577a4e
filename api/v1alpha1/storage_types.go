package v1alpha1

import "k8s.io/apimachinery/pkg/api/resource"

// StorageType says what kind of store holds the segments.
//
// +kubebuilder:validation:Enum=PersistentVolumeClaim;ObjectStore;Ephemeral
type StorageType string

const (
	// StoragePersistentVolumeClaim stores in a claim of the namespace.
	StoragePersistentVolumeClaim StorageType = "PersistentVolumeClaim"
	// StorageObjectStore stores in a bucket.
	StorageObjectStore StorageType = "ObjectStore"
	// StorageEphemeral stores in the pods, whose end is the end of what they
	// have stored.
	StorageEphemeral StorageType = "Ephemeral"
)

// StorageSpec is where and how records are stored.
//
// +kubebuilder:validation:XValidation:rule="self.type == oldSelf.type",message="storage.type is immutable: create another LogPipeline for another store"
// +kubebuilder:validation:XValidation:rule="(self.type == 'PersistentVolumeClaim') == has(self.persistentVolumeClaim)",message="storage.persistentVolumeClaim is required when storage.type is PersistentVolumeClaim, and must be left out otherwise"
// +kubebuilder:validation:XValidation:rule="(self.type == 'ObjectStore') == has(self.objectStore)",message="storage.objectStore is required when storage.type is ObjectStore, and must be left out otherwise"
// +kubebuilder:validation:XValidation:rule="self.type == 'Ephemeral' || !has(self.ephemeral)",message="storage.ephemeral must be left out unless storage.type is Ephemeral"
// +kubebuilder:validation:XValidation:rule="!has(self.persistentVolumeClaim) || !has(oldSelf.persistentVolumeClaim) || self.persistentVolumeClaim.claimName == oldSelf.persistentVolumeClaim.claimName",message="storage.persistentVolumeClaim.claimName is immutable, because what is stored goes on where it is: create another LogPipeline for another claim",fieldPath=".persistentVolumeClaim.claimName"
// +kubebuilder:validation:XValidation:rule="!has(self.objectStore) || !has(oldSelf.objectStore) || self.objectStore.url.split('?')[0] == oldSelf.objectStore.url.split('?')[0]",message="storage.objectStore.url is immutable but for what follows a question mark, because what is stored goes on where it is: create another LogPipeline for another bucket or prefix",fieldPath=".objectStore.url"
type StorageSpec struct {
	// type is PersistentVolumeClaim, ObjectStore, or Ephemeral: what a pod has
	// stored ends with the pod. Immutable.
	// +required
	Type StorageType `json:"type"`

	// persistentVolumeClaim names the claim to store in.
	// +optional
	PersistentVolumeClaim *PersistentVolumeClaimStorage `json:"persistentVolumeClaim,omitempty"`

	// objectStore names the bucket to store in.
	// +optional
	ObjectStore *ObjectStoreStorage `json:"objectStore,omitempty"`

	// ephemeral bounds what a pod stores.
	// +optional
	Ephemeral *EphemeralStorage `json:"ephemeral,omitempty"`

	// segment says when a segment is sealed, whichever comes first, and how it
	// is written.
	// +optional
	Segment SegmentSpec `json:"segment,omitzero"`

	// retention says how long segments stay. Left out: for ever.
	// +optional
	Retention RetentionSpec `json:"retention,omitzero"`
}

// PersistentVolumeClaimStorage stores in a claim.
type PersistentVolumeClaimStorage struct {
	// claimName is the name of a claim in the same namespace. More than one
	// consumer needs a claim that several nodes can mount (ReadWriteMany).
	// Immutable.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$`
	ClaimName string `json:"claimName"`
}

// ObjectStoreStorage stores in a bucket.
type ObjectStoreStorage struct {
	// url names bucket and prefix: s3://bucket/prefix?region=eu-central-1,
	// gs://bucket/prefix or azblob://container/prefix. Immutable but for what
	// follows the question mark.
	// +required
	// +kubebuilder:validation:MinLength=6
	// +kubebuilder:validation:MaxLength=1024
	// +kubebuilder:validation:Pattern=`^(s3|gs|azblob)://[A-Za-z0-9]`
	URL string `json:"url"`

	// credentialsSecretRef names a Secret with the keys of the store: for s3,
	// credentials, a file as ~/.aws/credentials; for gs, credentials.json, the
	// key of a service account; for azblob, AZURE_STORAGE_ACCOUNT with
	// AZURE_STORAGE_KEY or AZURE_STORAGE_SAS_TOKEN. The pods read them when
	// they start. Left out: the pods' workload identity.
	// +optional
	CredentialsSecretRef *SecretReference `json:"credentialsSecretRef,omitempty"`

	// serviceAccountAnnotations stand on the ServiceAccount of the consumers:
	// by them a cloud knows which rights the pods have in its stores.
	// +optional
	// +kubebuilder:validation:MaxProperties=16
	ServiceAccountAnnotations map[string]AnnotationValue `json:"serviceAccountAnnotations,omitempty"`
}

// EphemeralStorage stores in the pods.
type EphemeralStorage struct {
	// sizeLimit bounds what one pod stores, such as 10Gi: a pod that exceeds
	// it is evicted. Left out, the node's disk is the bound.
	// +optional
	SizeLimit *resource.Quantity `json:"sizeLimit,omitempty"`
}

// SegmentCompression is the codec of segments.
//
// +kubebuilder:validation:Enum=none;gzip;zstd
type SegmentCompression string

// SegmentSpec says when a segment is sealed, whichever comes first, and how it
// is written.
type SegmentSpec struct {
	// maxBytes bounds the lines of one segment, before they are compressed,
	// such as 64Mi.
	// +optional
	MaxBytes *resource.Quantity `json:"maxBytes,omitempty"`

	// maxAgeSeconds bounds the time from a segment's first record to its
	// seal. Left out: 10, and 60 in an object store, where each segment costs
	// several requests.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=86400
	MaxAgeSeconds *int32 `json:"maxAgeSeconds,omitempty"`

	// maxOpenBytes bounds what all segments that one pod has open take as they
	// are stored, such as 1Gi; beyond it the largest is sealed early.
	// +optional
	MaxOpenBytes *resource.Quantity `json:"maxOpenBytes,omitempty"`

	// compression is the codec of the segments: none, gzip or zstd.
	// +optional
	Compression SegmentCompression `json:"compression,omitempty"`
}

// RetentionSpec says how long segments stay.
type RetentionSpec struct {
	// maxAgeSeconds removes segments whose newest record is older. Left out:
	// at no age.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=3153600000
	MaxAgeSeconds *int64 `json:"maxAgeSeconds,omitempty"`

	// maxBytes removes the oldest segments when more is stored, such as 500Gi,
	// each partition having the same share. Left out: at no size.
	// +optional
	MaxBytes *resource.Quantity `json:"maxBytes,omitempty"`
}
