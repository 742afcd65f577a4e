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
	"math/big"
	"os"
	"path/filepath"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/envtest"
)

// FrontProxy gives the aggregator of an environment, which has not started yet,
// a certificate to show to aggregated servers. Its files, in folder, have to
// stay as long as the environment; it is valid for an hour.
func FrontProxy(environment *envtest.Environment, folder string) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "front-proxy"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
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
