package v1alpha1

import networkingv1 "k8s.io/api/networking/v1"

// AuthenticationSpec says who may send records: whoever satisfies one of what
// is given. Secrets are of the LogPipeline's namespace; a Secret that is
// changed is taken into use without a restart.
type AuthenticationSpec struct {
	// bearerTokensSecretRef names a Secret that has a key for each client,
	// named after it, with its token (RFC 6750).
	// +optional
	BearerTokensSecretRef *SecretReference `json:"bearerTokensSecretRef,omitempty"`

	// basicSecretRef names a Secret that has a key for each user, named after
	// it, with the password (RFC 7617).
	// +optional
	BasicSecretRef *SecretReference `json:"basicSecretRef,omitempty"`

	// clientCertificates admits clients by their certificates: beside tokens
	// and passwords they are one more way in, without them the only one.
	// +optional
	ClientCertificates *ClientCertificatesSpec `json:"clientCertificates,omitempty"`
}

// ClientCertificatesSpec says whose certificates are good.
type ClientCertificatesSpec struct {
	// caSecretRef names the certificates of the authorities that vouch for
	// the clients.
	// +required
	CASecretRef CASecretReference `json:"caSecretRef"`

	// allowedNames are common names or DNS names of which a certificate must
	// have one. Left out: every certificate that the authorities vouch for.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=256
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=253
	AllowedNames []string `json:"allowedNames,omitempty"`
}

// IngesterTLSSpec serves HTTPS.
type IngesterTLSSpec struct {
	// certSecretRef names a Secret with tls.crt and tls.key, as cert-manager
	// writes it; a change is taken into use without a restart. Left out:
	// <name of the LogPipeline>-tls.
	// +optional
	CertSecretRef *SecretReference `json:"certSecretRef,omitempty"`
}

// NetworkPolicyManagement says whether the operator keeps NetworkPolicies.
//
// +kubebuilder:validation:Enum=Managed;None
type NetworkPolicyManagement string

const (
	// NetworkPolicyManaged has one NetworkPolicy for each role.
	NetworkPolicyManaged NetworkPolicyManagement = "Managed"
	// NetworkPolicyNone has none: the namespace's own rules hold.
	NetworkPolicyNone NetworkPolicyManagement = "None"
)

// NetworkPolicySpec says who may open connections to the pods, and to whom
// they may. Nodes, and so the probes of the kubelet, are always let in.
//
// +kubebuilder:validation:XValidation:rule="!has(self.management) || self.management == 'Managed' || !(has(self.ingressFrom) || has(self.metricsFrom) || has(self.egress))",message="networkPolicy.ingressFrom, networkPolicy.metricsFrom and networkPolicy.egress must be left out when networkPolicy.management is None: there is no policy that they could be part of"
type NetworkPolicySpec struct {
	// management is Managed (one NetworkPolicy for each role) or None.
	// +optional
	// +kubebuilder:default=Managed
	Management NetworkPolicyManagement `json:"management,omitempty"`

	// ingressFrom are those who may send records. Left out: everybody.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	IngressFrom []networkingv1.NetworkPolicyPeer `json:"ingressFrom,omitempty"`

	// metricsFrom are those who may read metrics and probes, beside the
	// operator. Left out: every pod of the cluster.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	MetricsFrom []networkingv1.NetworkPolicyPeer `json:"metricsFrom,omitempty"`

	// egress are the connections that the pods may open: the brokers, and the
	// object store where there is one. DNS is added. Left out: all.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	Egress []networkingv1.NetworkPolicyEgressRule `json:"egress,omitempty"`
}
