package metricsapi

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"slices"
	"time"
)

const (
	// lifetime of a certificate, and the age at which the next one is made.
	lifetime = 30 * 24 * time.Hour
	renewal  = lifetime * 2 / 3
	// clockSkew is how far the API server's clock may be behind.
	clockSkew = 10 * time.Minute
	// mostCertificates is how many the bundle holds at the most: replicas of
	// the operator, and of those gone since, until theirs expire.
	mostCertificates = 32
)

// certificate is one that signs itself, and its key, which never leaves the
// process.
type certificate struct {
	certPEM, keyPEM []byte
	made            time.Time
}

// newCertificate makes one for a Service's name, marked as that of a pod.
func newCertificate(pod, service, namespace string, now time.Time) (*certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make key: %w", err)
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 126))
	if err != nil {
		return nil, fmt.Errorf("make serial number: %w", err)
	}
	host := service + "." + namespace + ".svc"
	template := &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: pod},
		DNSNames:     []string{host},
		NotBefore:    now.Add(-clockSkew),
		NotAfter:     now.Add(lifetime),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		// It is its own authority, and nobody else's: it may not sign others.
		BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("make certificate: %w", err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("encode key: %w", err)
	}
	return &certificate{
		certPEM: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		keyPEM:  pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}),
		made:    now,
	}, nil
}

// mergeBundle returns a bundle that has one's own certificates and those of
// other pods that have not expired, in the order in which they came. What the
// pod had in an earlier life goes: its key is gone too. When there are too
// many, the eldest of others go.
func mergeBundle(bundle []byte, pod string, own [][]byte, now time.Time) []byte {
	var merged [][]byte
	others := 0
	for block, rest := pem.Decode(bundle); block != nil; block, rest = pem.Decode(rest) {
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil || now.After(c.NotAfter) {
			continue
		}
		encoded := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: block.Bytes})
		another := c.Subject.CommonName != pod
		if another {
			others++
		}
		if another || contains(own, encoded) {
			merged = append(merged, encoded)
		}
	}
	for _, each := range own {
		if !contains(merged, each) {
			merged = append(merged, each)
		}
	}
	surplus := others + len(own) - mostCertificates
	merged = slices.DeleteFunc(merged, func(each []byte) bool {
		if surplus <= 0 || contains(own, each) {
			return false
		}
		surplus--
		return true
	})
	return bytes.Join(merged, nil)
}

func contains(all [][]byte, one []byte) bool {
	return slices.ContainsFunc(all, func(each []byte) bool { return bytes.Equal(each, one) })
}
