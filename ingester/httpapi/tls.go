package httpapi

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/logpipeline/logpipeline/ingester/config"
	"github.com/logpipeline/logpipeline/ingester/mounted"
)

// ServerTLS reads the certificate, its key and the client CA, and has files
// keep them up to date: connections that are opened after a change see it, the
// others go on as they are. It returns nil where no certificate is configured.
//
// The server offers HTTP/2 and HTTP/1.1 over TLS 1.2 or later. Where client
// certificates are the only scheme of authentication, nobody is connected
// without one; beside other schemes a certificate may be shown. One that the CA
// doesn't vouch for is never connected, nor is a session resumed for which it
// no longer does (crypto/tls sees to that).
//
// When the certificate expires is a metric, registered with reg.
func ServerTLS(cfg config.TLS, authentication config.Authentication, files *mounted.Watcher, reg prometheus.Registerer) (*tls.Config, error) {
	if cfg.CertFile == "" {
		return nil, nil
	}
	pair, err := mounted.Open(files, "tls", parsePair, cfg.CertFile, cfg.KeyFile)
	if err != nil {
		return nil, fmt.Errorf("load tls.certFile and tls.keyFile: %w", err)
	}
	showExpiry(pair, reg)
	server := &tls.Config{
		MinVersion:     tls.VersionTLS12,
		NextProtos:     []string{"h2", "http/1.1"},
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return pair.Get(), nil },
	}
	if cfg.ClientCAFile == "" {
		return server, nil
	}
	// The session tickets are sealed by server's keys whatever the CA, and
	// its keys are changed daily.
	verifying := server.Clone()
	verifying.ClientAuth = clientAuth(authentication)
	forClients, err := mounted.Open(files, "client-ca", withClientCA(verifying), cfg.ClientCAFile)
	if err != nil {
		return nil, fmt.Errorf("load tls.clientCAFile: %w", err)
	}
	server.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) { return forClients.Get(), nil }
	return server, nil
}

func clientAuth(authentication config.Authentication) tls.ClientAuthType {
	others := authentication.BearerTokensDir != "" || authentication.BasicDir != ""
	if authentication.ClientCertificates.Accepted && !others {
		return tls.RequireAndVerifyClientCert
	}
	return tls.VerifyClientCertIfGiven
}

// parsePair makes a certificate of the files of its chain and its key. A key
// that isn't the certificate's is an error.
func parsePair(files []mounted.File) (*tls.Certificate, error) {
	if len(files) != 2 {
		return nil, errors.New("tls.certFile and tls.keyFile are two files, not directories")
	}
	pair, err := tls.X509KeyPair(files[0].Content, files[1].Content)
	if err != nil {
		return nil, fmt.Errorf("use %s with %s: %w", files[0].Path, files[1].Path, err)
	}
	return &pair, nil
}

// showExpiry tells by a metric when the certificate in use expires.
func showExpiry(pair *mounted.Value[*tls.Certificate], reg prometheus.Registerer) {
	reg.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "logpipeline_ingester_tls_certificate_expiry_timestamp_seconds",
		Help: "When the certificate that clients are shown expires.",
	}, func() float64 { return float64(pair.Get().Leaf.NotAfter.Unix()) }))
}

// withClientCA makes, of the files of a client CA, copies of base that verify
// the certificates of clients by it.
func withClientCA(base *tls.Config) func([]mounted.File) (*tls.Config, error) {
	return func(files []mounted.File) (*tls.Config, error) {
		pool := x509.NewCertPool()
		for _, file := range files {
			if err := addCertificates(pool, file); err != nil {
				return nil, err
			}
		}
		verifying := base.Clone()
		verifying.ClientCAs = pool
		return verifying, nil
	}
}

// addCertificates adds every certificate of a PEM file to pool. One that can't
// be read is an error, for a part of a bundle would lock clients out.
func addCertificates(pool *x509.CertPool, file mounted.File) error {
	if file.Err != nil {
		return file.Err
	}
	found := 0
	for block, rest := pem.Decode(file.Content); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" {
			continue
		}
		certificate, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return fmt.Errorf("read certificate %d of %s: %w", found+1, file.Path, err)
		}
		pool.AddCert(certificate)
		found++
	}
	if found == 0 {
		return fmt.Errorf("%s holds no certificate in PEM form", file.Path)
	}
	return nil
}
