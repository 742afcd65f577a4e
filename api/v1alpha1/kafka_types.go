package v1alpha1

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

	// security of the connections of the pipeline's pods. Left out: plain text
	// without authentication.
	// +optional
	Security KafkaSecuritySpec `json:"security,omitzero"`

	// adminSecurity is that of the operator's connections, which create and
	// configure topics. Left out, or empty: as security.
	// +optional
	AdminSecurity KafkaSecuritySpec `json:"adminSecurity,omitzero"`
}

// KafkaSecuritySpec says how connections to the brokers are secured. Secrets
// are of the LogPipeline's namespace; a Secret that is changed is taken into
// use without a restart.
type KafkaSecuritySpec struct {
	// tls encrypts the connections; {} trusts the system's authorities. Left
	// out: plain text.
	// +optional
	TLS *KafkaTLSSpec `json:"tls,omitempty"`

	// sasl authenticates the client by name and password.
	// +optional
	SASL *KafkaSASLSpec `json:"sasl,omitempty"`
}

// KafkaTLSSpec says whom a connection trusts and how it shows who it is.
type KafkaTLSSpec struct {
	// caSecretRef names the certificates, in PEM form, of the authorities that
	// vouch for the brokers. Left out: the system's.
	// +optional
	CASecretRef *CASecretReference `json:"caSecretRef,omitempty"`

	// clientCertSecretRef names a Secret with tls.crt and tls.key: the
	// certificate that the client shows.
	// +optional
	ClientCertSecretRef *SecretReference `json:"clientCertSecretRef,omitempty"`

	// serverName that the brokers' certificates must be for. Left out: the
	// host of the broker's address.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	ServerName string `json:"serverName,omitempty"`
}

// SASLMechanism is how a name and a password are shown to a broker.
//
// +kubebuilder:validation:Enum=PLAIN;SCRAM-SHA-256;SCRAM-SHA-512
type SASLMechanism string

const (
	// SASLPlain sends the password as it is (RFC 4616): use it with tls alone.
	SASLPlain SASLMechanism = "PLAIN"
	// SASLScramSHA256 proves to know the password (RFC 7677).
	SASLScramSHA256 SASLMechanism = "SCRAM-SHA-256"
	// SASLScramSHA512 proves to know the password.
	SASLScramSHA512 SASLMechanism = "SCRAM-SHA-512"
)

// KafkaSASLSpec authenticates a client by name and password.
type KafkaSASLSpec struct {
	// mechanism is PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512.
	// +required
	Mechanism SASLMechanism `json:"mechanism"`

	// credentialsSecretRef names a Secret with the keys username and password.
	// +required
	CredentialsSecretRef SecretReference `json:"credentialsSecretRef"`
}
