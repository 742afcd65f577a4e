// Package aggregationtest has an API server of a test ask aggregated servers,
// such as the metrics API.
package aggregationtest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
)

// Main starts an API server for the tests of a package, and runs them once
// prepare has done what they need; it is the body of TestMain. The folder is
// there until they are over.
func Main(m *testing.M, prepare func(environment *envtest.Environment, config *rest.Config, folder string) error) {
	code, err := run(m, prepare)
	if err != nil {
		fmt.Fprintln(os.Stderr, "suite:", err)
		code = 1
	}
	os.Exit(code)
}

func run(m *testing.M, prepare func(*envtest.Environment, *rest.Config, string) error) (code int, err error) {
	if os.Getenv("KUBEBUILDER_ASSETS") == "" {
		return 0, errors.New("KUBEBUILDER_ASSETS names no folder with etcd and kube-apiserver: run make test")
	}
	folder, err := os.MkdirTemp("", "aggregationtest")
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
	environment := &envtest.Environment{}
	if err := FrontProxy(environment, folder); err != nil {
		return 0, err
	}
	config, err := environment.Start()
	if err != nil {
		return 0, fmt.Errorf("start API server: %w", err)
	}
	defer func() { err = errors.Join(err, environment.Stop()) }()
	if err := prepare(environment, config, folder); err != nil {
		return 0, err
	}
	return m.Run(), nil
}

// APIService has the API server ask a Service for external metrics.
func APIService(service types.NamespacedName, port int) *unstructured.Unstructured {
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService",
		"metadata": map[string]any{"name": "v1beta1.external.metrics.k8s.io"},
		"spec": map[string]any{
			"group": "external.metrics.k8s.io", "version": "v1beta1", "groupPriorityMinimum": int64(100), "versionPriority": int64(100),
			"service": map[string]any{"namespace": service.Namespace, "name": service.Name, "port": int64(port)},
		},
	}}
}

// FrontProxy gives the aggregator of an environment, which has not started yet,
// a certificate to show to aggregated servers. Its files, in folder, have to
// stay as long as the environment; it is valid for a day.
func FrontProxy(environment *envtest.Environment, folder string) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "front-proxy"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true,
		KeyUsage:    x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return err
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	certFile, keyFile := filepath.Join(folder, "proxy.crt"), filepath.Join(folder, "proxy.key")
	err = errors.Join(
		os.WriteFile(certFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600),
		os.WriteFile(keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}), 0o600),
	)
	environment.ControlPlane.GetAPIServer().Configure().
		Append("requestheader-client-ca-file", certFile).
		Append("requestheader-username-headers", "X-Remote-User").
		Append("requestheader-group-headers", "X-Remote-Group").
		Append("requestheader-extra-headers-prefix", "X-Remote-Extra-").
		Append("proxy-client-cert-file", certFile).
		Append("proxy-client-key-file", keyFile)
	return err
}
