// Package v1alpha1 is the LogPipeline API, group ingest.logpipeline.io. It
// holds types, validation rules as markers, and the documented condition types
// and reasons; it has no logic.
//
// +kubebuilder:object:generate=true
// +kubebuilder:ac:generate=true
// +groupName=ingest.logpipeline.io
package v1alpha1
