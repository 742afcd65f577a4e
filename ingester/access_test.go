package ingester

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// A certificate and the tokens are replaced while clients send, over HTTP/1.1
// and HTTP/2: new connections see the new certificate, the old token ends, and
// whoever uses the new one is refused nothing.
func TestCertificateAndTokensAreReloaded(t *testing.T) {
	for name, http2 := range map[string]bool{"HTTP/1.1": false, "HTTP/2": true} {
		t.Run(name, func(t *testing.T) {
			cfg := onKafka(t, 2)
			dir := t.TempDir()
			cfg.TLS.CertFile, cfg.TLS.KeyFile = filepath.Join(dir, "tls", "tls.crt"), filepath.Join(dir, "tls", "tls.key")
			cfg.Authentication.BearerTokensDir = filepath.Join(dir, "tokens")
			writeFiles(t, filepath.Dir(cfg.TLS.CertFile), newPair(t, 1))
			writeFiles(t, cfg.Authentication.BearerTokensDir, map[string]string{"old": "old-token", "new": "new-token"})
			p := launch(t, cfg)

			sending := func(token string) *load {
				l := &load{name: token, url: "https://" + cfg.Listen + "/logs", client: secureClient(http2)}
				l.prepare = func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+token) }
				l.start(t, 4)
				return l
			}
			before, after := sending("old-token"), sending("new-token")
			before.awaitMore(t, 200)
			after.awaitMore(t, 200)

			writeFiles(t, filepath.Dir(cfg.TLS.CertFile), newPair(t, 2))
			eventually(t, "seeing the new certificate", func() bool { return serialAt(t, cfg.Listen) == 2 })
			if err := os.Remove(filepath.Join(cfg.Authentication.BearerTokensDir, "old")); err != nil {
				t.Fatal(err)
			}
			probes := 0
			eventually(t, "refusing the old token", func() bool {
				probes++
				return before.send(-1, probes).status == http.StatusUnauthorized
			})
			before.stop()
			after.awaitMore(t, 200)
			after.stop()
			if err := p.stop(t, 30*time.Second); err != nil {
				t.Errorf("stopped with %v", err)
			}
			if got := after.statuses(); len(got) != 1 || got[http.StatusOK] == 0 {
				t.Errorf("with the new token the answers are %v, want nothing but 200", got)
			}
			readLog(t, cfg).check(t, deadLetters{}, before, after)
		})
	}
}

// secureClient doesn't verify the server: what is looked at is its serial.
func secureClient(http2 bool) *http.Client {
	protocols := &http.Protocols{}
	protocols.SetHTTP1(!http2)
	protocols.SetHTTP2(http2)
	return &http.Client{Transport: &http.Transport{
		MaxIdleConnsPerHost: 8, Protocols: protocols,
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, //nolint:gosec // see above
	}}
}

// writeFiles writes each file by a rename, as whoever is careful does.
func writeFiles(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	err := os.MkdirAll(dir, 0o700)
	for name, content := range files {
		temporary := filepath.Join(t.TempDir(), name)
		err = errors.Join(err, os.WriteFile(temporary, []byte(content), 0o600), os.Rename(temporary, filepath.Join(dir, name)))
	}
	if err != nil {
		t.Fatal(err)
	}
}

// newPair is a certificate that signs itself, and its key.
func newPair(t *testing.T, serial int64) map[string]string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return map[string]string{
		"tls.crt": string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate})),
		"tls.key": string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})),
	}
}

// serialAt is that of the certificate that a new connection is shown.
func serialAt(t *testing.T, address string) int64 {
	t.Helper()
	c, err := tls.Dial("tcp", address, &tls.Config{InsecureSkipVerify: true}) //nolint:gosec // only its serial is looked at
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	return c.ConnectionState().PeerCertificates[0].SerialNumber.Int64()
}
