package resources

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/logpipeline/logpipeline/api/v1alpha1"
)

func TestSecretsAreThoseOfTheSpec(t *testing.T) {
	both := func(s *v1alpha1.LogPipelineSpec) { secured(s); stored("gs://bucket")(s) }
	want := []Secret{
		{"spec.kafka.security.tls.caSecretRef", "kafka-ca", []string{"root.pem"}},
		{"spec.kafka.security.tls.clientCertSecretRef", "kafka-client", []string{"tls.crt", "tls.key"}},
		{"spec.kafka.security.sasl.credentialsSecretRef", "app", []string{"username", "password"}},
		{"spec.ingester.tls.certSecretRef", "orders-tls", []string{"tls.crt", "tls.key"}},
		{"spec.ingester.authentication.clientCertificates.caSecretRef", "clients", []string{"ca.crt"}},
		{"spec.ingester.authentication.bearerTokensSecretRef", "tokens", nil},
		{"spec.ingester.authentication.basicSecretRef", "users", nil},
		{"spec.storage.objectStore.credentialsSecretRef", "store", []string{"credentials.json"}},
		{"spec.kafka.adminSecurity.sasl.credentialsSecretRef", "admin", []string{"username", "password"}},
	}
	if diff := cmp.Diff(want, Secrets(pipeline(both))); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	if got := Secrets(pipeline(minimal)); got != nil {
		t.Errorf("a spec that names none has %v", got)
	}
}

func TestOperatorConnectsAsThePodsUnlessToldOtherwise(t *testing.T) {
	p := pipeline(secured)
	if got := AdminSecurity(p); got.SASL.CredentialsSecretRef.Name != "admin" || got.TLS != nil {
		t.Errorf("adminSecurity is not taken whole: %+v", got)
	}
	p.Spec.Kafka.AdminSecurity = v1alpha1.KafkaSecuritySpec{}
	if diff := cmp.Diff(p.Spec.Kafka.Security, AdminSecurity(p)); diff != "" {
		t.Errorf("-security +operator's\n%s", diff)
	}
}
