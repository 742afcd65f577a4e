package v1alpha1

// AggregationSpec says what is counted of the records that are stored.
//
// +kubebuilder:validation:XValidation:rule="has(self.groupBy) || has(self.numeric)",message="aggregation needs groupBy or numeric: name the fields to count by, or those to sum up"
type AggregationSpec struct {
	// windowSeconds is how long a window is. Windows begin at multiples of it
	// since the Unix epoch.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=86400
	WindowSeconds *int32 `json:"windowSeconds,omitempty"`

	// groupBy are dotted paths of fields: records with equal values in all of
	// them are counted together.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=8
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=256
	GroupBy []string `json:"groupBy,omitempty"`

	// numeric are dotted paths of fields whose numbers are summed up: count,
	// sum, smallest, largest and quantiles.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=256
	Numeric []string `json:"numeric,omitempty"`

	// quantiles are what is shown of a numeric field's distribution, each from
	// 0 to 1, such as "0.99".
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:MaxLength=12
	// +kubebuilder:validation:items:Pattern=`^(0(\.[0-9]+)?|1(\.0+)?)$`
	Quantiles []string `json:"quantiles,omitempty"`

	// maxGroups bounds the groups of one window in one segment; records of
	// more groups are counted together, as other.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=10000
	MaxGroups *int32 `json:"maxGroups,omitempty"`
}
