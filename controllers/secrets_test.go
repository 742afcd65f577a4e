package controllers

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"math/big"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/logpipeline/logpipeline/api/v1alpha1"
	"github.com/logpipeline/logpipeline/controllers/resources"
)

func TestSecretsAreChecked(t *testing.T) {
	type data = map[string][]byte
	certificate, key := selfSigned(t)
	_, otherKey := selfSigned(t)
	credentials := resources.Secret{Field: "spec.kafka.security.sasl.credentialsSecretRef", Name: "app", Keys: []string{"username", "password"}}
	tokens := resources.Secret{Field: "spec.ingester.authentication.bearerTokensSecretRef", Name: "tokens"}
	pair := resources.Secret{Field: "spec.ingester.tls.certSecretRef", Name: "orders-tls", Keys: []string{"tls.crt", "tls.key"}}
	ca := resources.Secret{Field: "spec.kafka.security.tls.caSecretRef", Name: "ca", Keys: []string{"root.pem"}}
	tests := map[string]struct {
		named  resources.Secret
		data   data // nil: there is none
		reason string
		says   string
	}{
		"a name and a password":     {credentials, data{"username": []byte("u"), "password": []byte("p")}, "", ""},
		"no Secret":                 {credentials, nil, "SecretNotFound", `spec.kafka.security.sasl.credentialsSecretRef names Secret "app", which does not exist: create it`},
		"no password":               {credentials, data{"username": []byte("u")}, "SecretNotFound", `which lacks the key "password": add it`},
		"empty password":            {credentials, data{"username": []byte("u"), "password": {}}, "SecretInvalid", `whose key "password" is empty: fill it`},
		"a token":                   {tokens, data{"shipper": []byte("t")}, "", ""},
		"no token":                  {tokens, data{}, "SecretNotFound", "which is empty: give it a key for each client"},
		"a certificate":             {pair, data{"tls.crt": certificate, "tls.key": key}, "", ""},
		"another certificate's key": {pair, data{"tls.crt": certificate, "tls.key": otherKey}, "SecretInvalid", "which cannot be used: tls: private key does not match public key"},
		"an authority":              {ca, data{"root.pem": certificate}, "", ""},
		"an authority that is none": {ca, data{"root.pem": key}, "SecretInvalid", `"root.pem" holds no certificate in PEM form`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			reason, err := checkSecret(test.named, test.data)
			if reason != test.reason {
				t.Errorf("reason is %q, want %q", reason, test.reason)
			}
			expect(t, err, test.says)
		})
	}
}

// Without its Secret a pipeline waits; it does not stall, for the Secret may
// come while the spec stays as it is.
func TestMissingSecretIsWaitedFor(t *testing.T) {
	namespace := newNamespace(t)
	p := newPipeline(namespace, newKafka(t).ListenAddrs())
	p.Spec.Ingester.Authentication.BearerTokensSecretRef = &v1alpha1.SecretReference{Name: "shippers"}
	create(t, p)
	missing := awaitCondition(t, p, v1alpha1.ConditionIngesterAvailable, metav1.ConditionFalse, v1alpha1.ReasonSecretNotFound)
	expect(t, errors.New(missing.Message), `spec.ingester.authentication.bearerTokensSecretRef names Secret "shippers", which does not exist: create it`)
	awaitCondition(t, p, v1alpha1.ConditionReconciling, metav1.ConditionTrue, v1alpha1.ReasonRetrying)
	if c := meta.FindStatusCondition(p.Status.Conditions, v1alpha1.ConditionStalled); c != nil {
		t.Errorf("it stalls: %+v", c)
	}
	create(t, &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Name: "shippers", Namespace: namespace},
		StringData: map[string]string{"fluent-bit": "secret"},
	})
	awaitRunning(t, p)
}

// Where records are taken follows the pods, and not a spec that has not come to
// them.
func TestEndpointIsThatOfThePods(t *testing.T) {
	namespace := newNamespace(t)
	p := newPipeline(namespace, newKafka(t).ListenAddrs())
	startPipeline(t, p)
	plain := p.Status.Endpoint
	change(t, p, func(p *v1alpha1.LogPipeline) { p.Spec.Ingester.TLS = &v1alpha1.IngesterTLSSpec{} })
	awaitCondition(t, p, v1alpha1.ConditionIngesterAvailable, metav1.ConditionFalse, v1alpha1.ReasonSecretNotFound)
	if p.Status.Endpoint != plain {
		t.Errorf("endpoint is %s while the pods take records at %s", p.Status.Endpoint, plain)
	}
	certificate, key := selfSigned(t)
	create(t, &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Name: "orders-tls", Namespace: namespace},
		Data:       map[string][]byte{"tls.crt": certificate, "tls.key": key},
	})
	awaitRunning(t, p)
	if want := strings.Replace(plain, "http:", "https:", 1); p.Status.Endpoint != want {
		t.Errorf("endpoint is %s, want %s", p.Status.Endpoint, want)
	}
}

func selfSigned(t *testing.T) (certificate, key []byte) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	encoded, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: encoded})
}
