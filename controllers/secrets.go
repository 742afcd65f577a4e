package controllers

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/logpipeline/logpipeline/api/v1alpha1"
	"github.com/logpipeline/logpipeline/controllers/resources"
)

// secrets are what the Secrets that a spec names hold, by name.
type secrets map[string]map[string][]byte

// readSecrets reads every Secret that the spec names, from the API server:
// the operator may neither list nor watch them. One that is missing or cannot
// work is a failure of what it is for, and no reason to stall: it may come
// while the spec stays as it is. A suspended pipeline needs none.
func (r *Reconciler) readSecrets(ctx context.Context, p *v1alpha1.LogPipeline) (secrets, error) {
	if p.Spec.Suspend {
		return nil, nil
	}
	return r.readSecretsOf(ctx, p, "spec.")
}

// adminField is the part of the spec that has the operator's own credentials.
func adminField(p *v1alpha1.LogPipeline) string {
	if resources.AdminSecurity(p) == p.Spec.Kafka.AdminSecurity {
		return "spec.kafka.adminSecurity."
	}
	return "spec.kafka.security."
}

// readSecretsOf reads those that a part of the spec names.
func (r *Reconciler) readSecretsOf(ctx context.Context, p *v1alpha1.LogPipeline, part string) (secrets, error) {
	read := secrets{}
	var first *failure
	var mistakes []error
	for _, named := range resources.Secrets(p) {
		if !strings.HasPrefix(named.Field, part) {
			continue
		}
		if err := r.readSecret(ctx, p.Namespace, named.Name, read); err != nil {
			return nil, err
		}
		reason, err := checkSecret(named, read[named.Name])
		if err == nil {
			continue
		}
		if first == nil {
			first = &failure{condition: conditionOf(named.Field), reason: reason}
		}
		mistakes = append(mistakes, err)
	}
	if first != nil {
		first.err = errors.Join(mistakes...)
		return nil, first
	}
	return read, nil
}

// readSecret leaves a Secret that does not exist out.
func (r *Reconciler) readSecret(ctx context.Context, namespace, name string, into secrets) error {
	if _, done := into[name]; done {
		return nil
	}
	secret := &corev1.Secret{}
	err := r.Live.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, secret)
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read Secret %q: %w", name, err)
	}
	into[name] = secret.Data
	if secret.Data == nil {
		into[name] = map[string][]byte{}
	}
	return nil
}

// conditionOf is the condition of what a field of the spec is for.
func conditionOf(field string) string {
	switch {
	case strings.HasPrefix(field, "spec.kafka."):
		return v1alpha1.ConditionKafkaReachable
	case strings.HasPrefix(field, "spec.storage."):
		return v1alpha1.ConditionStorageReady
	default:
		return v1alpha1.ConditionIngesterAvailable
	}
}

// checkSecret says what is wrong with what a Secret holds; nil data is that of
// one that does not exist.
func checkSecret(named resources.Secret, data map[string][]byte) (reason string, err error) {
	wrong := func(format string, arguments ...any) error {
		return fmt.Errorf("%s names Secret %q, %s", named.Field, named.Name, fmt.Sprintf(format, arguments...))
	}
	if data == nil {
		return v1alpha1.ReasonSecretNotFound, wrong("which does not exist: create it")
	}
	if len(named.Keys) == 0 && len(data) == 0 {
		return v1alpha1.ReasonSecretNotFound, wrong("which is empty: give it a key for each client, named after it")
	}
	for _, key := range named.Keys {
		switch value, found := data[key]; {
		case !found:
			return v1alpha1.ReasonSecretNotFound, wrong("which lacks the key %q: add it", key)
		case len(value) == 0:
			return v1alpha1.ReasonSecretInvalid, wrong("whose key %q is empty: fill it", key)
		}
	}
	if err := checkPEM(named, data); err != nil {
		return v1alpha1.ReasonSecretInvalid, wrong("which cannot be used: %v", err)
	}
	return "", nil
}

// checkPEM finds certificates that no pod could use, before they reach one.
func checkPEM(named resources.Secret, data map[string][]byte) error {
	switch {
	case slices.Equal(named.Keys, []string{corev1.TLSCertKey, corev1.TLSPrivateKeyKey}):
		_, err := tls.X509KeyPair(data[corev1.TLSCertKey], data[corev1.TLSPrivateKeyKey])
		return err
	case strings.HasSuffix(named.Field, "caSecretRef"):
		if key := named.Keys[0]; !x509.NewCertPool().AppendCertsFromPEM(data[key]) {
			return fmt.Errorf("%q holds no certificate in PEM form", key)
		}
	}
	return nil
}
