package httpapi

import (
	"crypto/x509"
	"strings"
)

// refuse says what is wrong with what the client showed, but not how near it
// came.
func (a *Authenticator) refuse(authorization []string, certificate *x509.Certificate) *problem {
	switch {
	case len(authorization) == 0 && certificate != nil:
		return newProblem(forbidden, "the certificate of %q has none of the names in authentication.clientCertificates.allowedNames", certificate.Subject.CommonName)
	case len(a.schemes) == 0: // there is no challenge for a certificate, so this is no 401
		return newProblem(forbidden, "only clients with a certificate are admitted, and the connection was opened without one")
	case len(authorization) == 0:
		return a.challenge("", "send %s credentials in the header Authorization", a.names())
	case len(authorization) > 1:
		return a.challenge("", "the request has %d headers Authorization; send one", len(authorization))
	}
	name, _, _ := strings.Cut(authorization[0], " ")
	if !a.takes(name) {
		return a.challenge("", "the scheme of the header Authorization is not taken here; send %s credentials", a.names())
	}
	return a.challenge(name, "the %s credentials in the header Authorization are nobody's", name)
}

func (a *Authenticator) takes(name string) bool {
	for _, s := range a.schemes {
		if strings.EqualFold(name, s.name) {
			return true
		}
	}
	return false
}

// names lists the schemes that are taken.
func (a *Authenticator) names() string {
	var names []string
	for _, s := range a.schemes {
		names = append(names, s.name)
	}
	return strings.Join(names, " or ")
}

// challenge is a 401, which names every scheme (RFC 9110, section 11.6.1). A
// bearer token that was refused is called so (RFC 6750, section 3.1); a missing
// one, as it asks, is not.
func (a *Authenticator) challenge(refused, detail string, args ...any) *problem {
	var challenges []string
	for _, s := range a.schemes {
		challenge := s.challenge
		if s.name == "Bearer" && strings.EqualFold(refused, s.name) {
			challenge += `, error="invalid_token"`
		}
		challenges = append(challenges, challenge)
	}
	p := newProblem(unauthorized, detail, args...)
	p.header("WWW-Authenticate", strings.Join(challenges, ", "))
	return p
}
