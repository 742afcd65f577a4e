package httpapi

import (
	"crypto/sha256"
	"crypto/subtle"
	"crypto/x509"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/logpipeline/logpipeline/ingester/config"
	"github.com/logpipeline/logpipeline/ingester/mounted"
)

// Authenticator says who may send records: whoever satisfies one of the schemes
// that are configured. It decides by the header and the connection alone, so
// that nobody's body is read before he is known.
type Authenticator struct {
	schemes      []scheme
	certificates config.ClientCertificates
}

// scheme is a way to fill in the header Authorization (RFC 9110, section 11).
type scheme struct {
	name      string // compared without regard to case
	challenge string
	secrets   *mounted.Value[[]secret]
}

// NewAuthenticator reads the tokens and passwords, and has files keep them up
// to date. It returns nil, which admits everybody, where nothing is configured.
// Client certificates are verified by the TLS of ServerTLS.
func NewAuthenticator(cfg config.Authentication, files *mounted.Watcher) (*Authenticator, error) {
	a := &Authenticator{certificates: cfg.ClientCertificates}
	if dir := cfg.BearerTokensDir; dir != "" {
		tokens, err := openSecrets(files, "bearer-tokens", bearerTokens(dir), dir)
		if err != nil {
			return nil, fmt.Errorf("load authentication.bearerTokensDir: %w", err)
		}
		a.schemes = append(a.schemes, scheme{"Bearer", `Bearer realm="logpipeline"`, tokens})
	}
	if dir := cfg.BasicDir; dir != "" {
		passwords, err := openSecrets(files, "basic", basicCredentials(dir), dir)
		if err != nil {
			return nil, fmt.Errorf("load authentication.basicDir: %w", err)
		}
		a.schemes = append(a.schemes, scheme{"Basic", `Basic realm="logpipeline", charset="UTF-8"`, passwords})
	}
	if len(a.schemes) == 0 && !a.certificates.Accepted {
		return nil, nil
	}
	return a, nil
}

// identify says who sends the request: the name of a token's file, of a user,
// or of a certificate. It is for logs; there may be too many for a metric. A
// request of nobody who is known is refused; a nil Authenticator admits
// everybody.
func (a *Authenticator) identify(r *http.Request) (client string, refusal *problem) {
	if a == nil {
		return "", nil
	}
	authorization := r.Header["Authorization"]
	if len(authorization) == 1 {
		if client, known := a.byHeader(authorization[0]); known {
			return client, nil
		}
	}
	certificate := a.certificate(r)
	if certificate != nil {
		if client, allowed := a.byCertificate(certificate); allowed {
			return client, nil
		}
	}
	return "", a.refuse(authorization, certificate)
}

// byHeader finds whose credentials the value of a header Authorization has.
func (a *Authenticator) byHeader(value string) (client string, known bool) {
	name, credentials, _ := strings.Cut(value, " ")
	for i := range a.schemes {
		if s := &a.schemes[i]; strings.EqualFold(name, s.name) {
			return find(s.secrets.Get(), strings.TrimLeft(credentials, " "))
		}
	}
	return "", false
}

// secret is what a client has to present, of which only the digest is kept.
type secret struct {
	client string
	digest [sha256.Size]byte
}

// find says whose secret is presented. It takes as long for a secret that is
// nobody's as for anybody's: digests say nothing by the byte in which they
// differ, and all of them are compared.
func find(secrets []secret, presented string) (client string, known bool) {
	var buffer [512]byte // so that most tokens are hashed without an allocation
	digest := sha256.Sum256(append(buffer[:0], presented...))
	match := -1
	for i := range secrets {
		match = subtle.ConstantTimeSelect(subtle.ConstantTimeCompare(secrets[i].digest[:], digest[:]), i, match)
	}
	if match < 0 {
		return "", false
	}
	return secrets[match].client, true
}

// certificate is the one that the connection was opened with, if certificates
// count and it was verified.
func (a *Authenticator) certificate(r *http.Request) *x509.Certificate {
	if !a.certificates.Accepted || r.TLS == nil || len(r.TLS.VerifiedChains) == 0 {
		return nil
	}
	return r.TLS.VerifiedChains[0][0]
}

// byCertificate finds an allowed name of the certificate, or any name where
// all certificates are allowed.
func (a *Authenticator) byCertificate(certificate *x509.Certificate) (client string, allowed bool) {
	common := certificate.Subject.CommonName
	if len(a.certificates.AllowedNames) == 0 {
		if common == "" && len(certificate.DNSNames) > 0 {
			common = certificate.DNSNames[0]
		}
		return common, true
	}
	for _, name := range a.certificates.AllowedNames {
		isName := func(dns string) bool { return strings.EqualFold(dns, name) }
		if name == common || slices.ContainsFunc(certificate.DNSNames, isName) {
			return name, true
		}
	}
	return "", false
}
