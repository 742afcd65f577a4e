package httpapi

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"
)

// authority is a CA of a test.
type authority struct {
	t           testing.TB
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

var serials atomic.Int64

func newAuthority(t testing.TB, name string) *authority {
	t.Helper()
	a := &authority{t: t}
	a.certificate, a.key = a.sign(&x509.Certificate{
		Subject:               pkix.Name{CommonName: name},
		KeyUsage:              x509.KeyUsageCertSign,
		BasicConstraintsValid: true,
		IsCA:                  true,
	})
	return a
}

// sign signs a certificate with a new key; an authority without a key is
// signed by itself.
func (a *authority) sign(template *x509.Certificate) (*x509.Certificate, *ecdsa.PrivateKey) {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	a.check(err)
	template.SerialNumber = big.NewInt(serials.Add(1))
	template.NotBefore = time.Now().Add(-48 * time.Hour)
	if template.NotAfter.IsZero() {
		template.NotAfter = time.Now().Add(time.Hour)
	}
	parent, parentKey := a.certificate, a.key
	if parentKey == nil {
		parent, parentKey = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, parentKey)
	a.check(err)
	certificate, err := x509.ParseCertificate(der)
	a.check(err)
	return certificate, key
}

// server returns the PEM files of a certificate for loopback.
func (a *authority) server() (chain, key string) {
	return a.encode(a.sign(&x509.Certificate{
		DNSNames:    []string{"localhost"},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}))
}

// client returns a client's certificate, good until then.
func (a *authority) client(name string, until time.Time) *tls.Certificate {
	chain, key := a.encode(a.sign(&x509.Certificate{
		Subject:     pkix.Name{CommonName: name},
		NotAfter:    until,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}))
	pair, err := tls.X509KeyPair([]byte(chain), []byte(key))
	a.check(err)
	return &pair
}

func (a *authority) pem() string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.certificate.Raw}))
}

func (a *authority) encode(certificate *x509.Certificate, key *ecdsa.PrivateKey) (chain, keyPEM string) {
	der, err := x509.MarshalECPrivateKey(key)
	a.check(err)
	var out bytes.Buffer
	a.check(pem.Encode(&out, &pem.Block{Type: "CERTIFICATE", Bytes: certificate.Raw}))
	return out.String(), string(pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der}))
}

func (a *authority) check(err error) {
	a.t.Helper()
	if err != nil {
		a.t.Fatal(err)
	}
}

// swap makes content the files of a directory, all at once, as the kubelet
// does: the files are links through ..data, which is replaced by a rename.
func swap(t testing.TB, dir string, content map[string]string) {
	t.Helper()
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	before, _ := os.Readlink(filepath.Join(dir, "..data"))
	target := fmt.Sprintf("..%d", serials.Add(1))
	check(os.Mkdir(filepath.Join(dir, target), 0o755))
	for name, text := range content {
		check(os.WriteFile(filepath.Join(dir, target, name), []byte(text), 0o600))
		link := filepath.Join(dir, name)
		if _, err := os.Lstat(link); err != nil {
			check(os.Symlink(filepath.Join("..data", name), link))
		}
	}
	check(os.Symlink(target, filepath.Join(dir, "..data_tmp")))
	check(os.Rename(filepath.Join(dir, "..data_tmp"), filepath.Join(dir, "..data")))
	if before != "" {
		check(os.RemoveAll(filepath.Join(dir, before)))
	}
}
