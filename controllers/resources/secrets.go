package resources

import (
	"net/url"
	"path"

	corev1 "k8s.io/api/core/v1"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"

	"github.com/logpipeline/logpipeline/api/v1alpha1"
)

// Secret is one that the spec names.
type Secret struct {
	// Field of the spec that names it.
	Field string
	// Name in the pipeline's namespace.
	Name string
	// Keys that it must have; none: at least one, whatever its name.
	Keys []string
}

// Secrets are all that the spec names, those of the operator's own connections
// among them. A Secret may be named more than once.
func Secrets(p *v1alpha1.LogPipeline) []Secret {
	var secrets []Secret
	for _, mounts := range [][]mount{ingesterSecrets(p), storeSecrets(p.Spec.Storage.ObjectStore), kafkaSecrets("spec.kafka.adminSecurity", p.Spec.Kafka.AdminSecurity)} {
		for _, m := range mounts {
			secrets = append(secrets, m.Secret)
		}
	}
	return secrets
}

// AdminSecurity is that of the operator's own connections to the brokers.
func AdminSecurity(p *v1alpha1.LogPipeline) v1alpha1.KafkaSecuritySpec {
	if admin := p.Spec.Kafka.AdminSecurity; admin != (v1alpha1.KafkaSecuritySpec{}) {
		return admin
	}
	return p.Spec.Kafka.Security
}

// secretsDir holds a directory for each mounted Secret. They are never mounted
// by subPath, which would keep a change of the Secret from the pod; a pod
// reads all files of one Secret from one generation of it.
const secretsDir = "/secrets"

// mount is a Secret under secretsDir. One without a volume is not mounted.
type mount struct {
	Secret
	volume string
}

// Volumes of Secrets.
const (
	kafkaCAVolume     = "kafka-ca"
	kafkaCertVolume   = "kafka-client-cert"
	kafkaSASLVolume   = "kafka-sasl"
	tlsVolume         = "tls"
	clientCAVolume    = "client-ca"
	tokensVolume      = "bearer-tokens"
	basicVolume       = "basic"
	objectStoreVolume = "object-store"
)

// Keys that Secrets of the usual types have.
const (
	caKey       = "ca.crt"
	usernameKey = corev1.BasicAuthUsernameKey
	passwordKey = corev1.BasicAuthPasswordKey
)

func ingesterSecrets(p *v1alpha1.LogPipeline) []mount {
	mounts := kafkaSecrets("spec.kafka.security", p.Spec.Kafka.Security)
	if p.Spec.Ingester.TLS != nil {
		mounts = append(mounts, mount{Secret{"spec.ingester.tls.certSecretRef", tlsSecretName(p), pairKeys()}, tlsVolume})
	}
	const field = "spec.ingester.authentication."
	access := p.Spec.Ingester.Authentication
	if access.ClientCertificates != nil {
		ca := access.ClientCertificates.CASecretRef
		mounts = append(mounts, mount{Secret{field + "clientCertificates.caSecretRef", ca.Name, []string{keyOf(ca)}}, clientCAVolume})
	}
	if tokens := access.BearerTokensSecretRef; tokens != nil {
		mounts = append(mounts, mount{Secret{field + "bearerTokensSecretRef", tokens.Name, nil}, tokensVolume})
	}
	if basic := access.BasicSecretRef; basic != nil {
		mounts = append(mounts, mount{Secret{field + "basicSecretRef", basic.Name, nil}, basicVolume})
	}
	return mounts
}

func consumerSecrets(p *v1alpha1.LogPipeline) []mount {
	return append(kafkaSecrets("spec.kafka.security", p.Spec.Kafka.Security), storeSecrets(p.Spec.Storage.ObjectStore)...)
}

func kafkaSecrets(field string, security v1alpha1.KafkaSecuritySpec) []mount {
	var mounts []mount
	if tls := security.TLS; tls != nil {
		if ca := tls.CASecretRef; ca != nil {
			mounts = append(mounts, mount{Secret{field + ".tls.caSecretRef", ca.Name, []string{keyOf(*ca)}}, kafkaCAVolume})
		}
		if cert := tls.ClientCertSecretRef; cert != nil {
			mounts = append(mounts, mount{Secret{field + ".tls.clientCertSecretRef", cert.Name, pairKeys()}, kafkaCertVolume})
		}
	}
	if sasl := security.SASL; sasl != nil {
		keys := []string{usernameKey, passwordKey}
		mounts = append(mounts, mount{Secret{field + ".sasl.credentialsSecretRef", sasl.CredentialsSecretRef.Name, keys}, kafkaSASLVolume})
	}
	return mounts
}

func tlsSecretName(p *v1alpha1.LogPipeline) string {
	if ref := p.Spec.Ingester.TLS.CertSecretRef; ref != nil {
		return ref.Name
	}
	return p.Name + tlsSuffix
}

func pairKeys() []string { return []string{corev1.TLSCertKey, corev1.TLSPrivateKeyKey} }

func keyOf(ca v1alpha1.CASecretReference) string {
	if ca.Key != "" {
		return ca.Key
	}
	return caKey
}

// What the stores' own libraries read, by the scheme of the URL: files for two
// of them, variables for the third, which reads no file.
const (
	awsKey          = "credentials"
	googleKey       = "credentials.json"
	azureAccountKey = "AZURE_STORAGE_ACCOUNT"
)

func storeSecrets(store *v1alpha1.ObjectStoreStorage) []mount {
	if store == nil || store.CredentialsSecretRef == nil {
		return nil
	}
	m := mount{Secret{"spec.storage.objectStore.credentialsSecretRef", store.CredentialsSecretRef.Name, nil}, objectStoreVolume}
	switch storeScheme(store) {
	case "gs":
		m.Keys = []string{googleKey}
	case "azblob":
		m.Keys, m.volume = []string{azureAccountKey}, ""
	default:
		m.Keys = []string{awsKey}
	}
	return []mount{m}
}

func objectStoreEnv(store *v1alpha1.ObjectStoreStorage) []*corev1ac.EnvVarApplyConfiguration {
	if store == nil || store.CredentialsSecretRef == nil {
		return nil
	}
	env := func(name, key string) []*corev1ac.EnvVarApplyConfiguration {
		return []*corev1ac.EnvVarApplyConfiguration{corev1ac.EnvVar().WithName(name).WithValue(secretFile(objectStoreVolume, key))}
	}
	switch storeScheme(store) {
	case "gs":
		return env("GOOGLE_APPLICATION_CREDENTIALS", googleKey)
	case "azblob":
		return azureEnv(store.CredentialsSecretRef.Name)
	default:
		return env("AWS_SHARED_CREDENTIALS_FILE", awsKey)
	}
}

func azureEnv(secret string) []*corev1ac.EnvVarApplyConfiguration {
	var env []*corev1ac.EnvVarApplyConfiguration
	for _, name := range []string{azureAccountKey, "AZURE_STORAGE_KEY", "AZURE_STORAGE_SAS_TOKEN"} {
		env = append(env, corev1ac.EnvVar().WithName(name).WithValueFrom(corev1ac.EnvVarSource().
			WithSecretKeyRef(corev1ac.SecretKeySelector().
				WithName(secret).WithKey(name).WithOptional(name != azureAccountKey))))
	}
	return env
}

func storeScheme(store *v1alpha1.ObjectStoreStorage) string {
	u, err := url.Parse(store.URL)
	if err != nil {
		return "" // Config has refused it
	}
	return u.Scheme
}

func secretDir(volume string) string       { return path.Join(secretsDir, volume) }
func secretFile(volume, key string) string { return path.Join(secretsDir, volume, key) }
