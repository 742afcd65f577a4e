package kafka

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"slices"
	"strings"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/sasl"
	"github.com/segmentio/kafka-go/sasl/plain"
	"github.com/segmentio/kafka-go/sasl/scram"

	"github.com/logpipeline/logpipeline/ingester/config"
	"github.com/logpipeline/logpipeline/ingester/mounted"
)

// Credentials are whom a client believes and what it shows: PEM blocks, a name
// and a password. What the configuration doesn't ask for may be empty.
type Credentials struct {
	CA, Cert, Key      []byte
	Username, Password string
}

// FileCredentials returns what reads the files that cfg names, each time that
// it is called; those of one directory of one generation.
func FileCredentials(cfg config.Kafka) func() (Credentials, error) {
	return func() (Credentials, error) {
		files, err := mounted.Read(credentialFiles(cfg)...)
		if err != nil {
			return Credentials{}, err
		}
		return credentialsOf(cfg, files), nil
	}
}

// credentialFiles are the paths of the files that cfg names.
func credentialFiles(cfg config.Kafka) []string {
	return slices.DeleteFunc([]string{
		cfg.TLS.CAFile, cfg.TLS.CertFile, cfg.TLS.KeyFile, cfg.SASL.UsernameFile, cfg.SASL.PasswordFile,
	}, func(path string) bool { return path == "" })
}

// credentialsOf sorts out what was read of them.
func credentialsOf(cfg config.Kafka, files []mounted.File) Credentials {
	content := func(path string) []byte {
		for _, file := range files {
			if path != "" && file.Path == filepath.Clean(path) {
				return file.Content
			}
		}
		return nil
	}
	return Credentials{
		CA: content(cfg.TLS.CAFile), Cert: content(cfg.TLS.CertFile), Key: content(cfg.TLS.KeyFile),
		Username: withoutLineEnd(content(cfg.SASL.UsernameFile)), Password: withoutLineEnd(content(cfg.SASL.PasswordFile)),
	}
}

func withoutLineEnd(content []byte) string { return strings.TrimRight(string(content), "\r\n") }

// secureDial returns a dial function that ends the TLS handshake before it
// returns, so that its error says what is wrong, with credentials that are
// read for each connection.
func secureDial(dial func(context.Context, string, string) (net.Conn, error), cfg config.KafkaTLS, credentials func() (Credentials, error)) func(context.Context, string, string) (net.Conn, error) {
	if !cfg.Enabled {
		return dial
	}
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		secured, err := clientTLS(cfg, address, credentials)
		if err != nil {
			return nil, fmt.Errorf("secure the connection to %s: %w", address, err)
		}
		conn, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		over := tls.Client(conn, secured)
		if err := over.HandshakeContext(ctx); err != nil {
			_ = conn.Close()
			return nil, fmt.Errorf("agree with %s on TLS: %w", address, explainHandshake(err))
		}
		return over, nil
	}
}

// clientTLS is the configuration of one connection.
func clientTLS(cfg config.KafkaTLS, address string, credentials func() (Credentials, error)) (*tls.Config, error) {
	c, err := credentials()
	if err != nil {
		return nil, err
	}
	secured := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: cfg.ServerName}
	if secured.ServerName == "" {
		if secured.ServerName, _, err = net.SplitHostPort(address); err != nil {
			return nil, err
		}
	}
	if cfg.CAFile != "" || len(c.CA) > 0 { // an empty file is not the system's authorities
		secured.RootCAs = x509.NewCertPool()
		if !secured.RootCAs.AppendCertsFromPEM(c.CA) {
			return nil, errors.New("read kafka.tls.caFile: it holds no PEM certificate")
		}
	}
	if cfg.CertFile != "" || len(c.Cert) > 0 || len(c.Key) > 0 {
		pair, err := tls.X509KeyPair(c.Cert, c.Key)
		if err != nil {
			return nil, fmt.Errorf("read kafka.tls.certFile and keyFile: %w", err)
		}
		secured.Certificates = []tls.Certificate{pair}
	}
	return secured, nil
}

// explainHandshake adds what a connection that simply ends is likely to mean.
func explainHandshake(err error) error {
	if errors.Is(err, io.EOF) {
		return fmt.Errorf("%w: the connection ended, as a listener without TLS does it", err)
	}
	return err
}

// mechanism authenticates each connection with credentials that are read for
// it. It is kafka-go's sasl.Mechanism.
type mechanism struct {
	name        config.SASLMechanism
	credentials func() (Credentials, error)
}

// saslOf returns nil where no mechanism is configured.
func saslOf(cfg config.KafkaSASL, credentials func() (Credentials, error)) sasl.Mechanism {
	if cfg.Mechanism == "" {
		return nil
	}
	return mechanism{cfg.Mechanism, credentials}
}

// Name implements sasl.Mechanism.
func (m mechanism) Name() string { return string(m.name) }

// Start implements sasl.Mechanism.
func (m mechanism) Start(ctx context.Context) (sasl.StateMachine, []byte, error) {
	c, err := m.credentials()
	if err != nil {
		return nil, nil, fmt.Errorf("authenticate by %s: %w", m.name, err)
	}
	chosen, err := mechanismOf(m.name, c)
	if err != nil {
		return nil, nil, fmt.Errorf("authenticate by %s: %w", m.name, err)
	}
	return chosen.Start(ctx)
}

func mechanismOf(name config.SASLMechanism, c Credentials) (sasl.Mechanism, error) {
	switch name {
	case config.SASLPlain:
		return plain.Mechanism{Username: c.Username, Password: c.Password}, nil
	case config.SASLScramSHA256:
		return scram.Mechanism(scram.SHA256, c.Username, c.Password)
	case config.SASLScramSHA512:
		return scram.Mechanism(scram.SHA512, c.Username, c.Password)
	default:
		return nil, fmt.Errorf("there is no mechanism %q", name)
	}
}

// CredentialsRefused reports whether err says that the brokers don't take the client's
// credentials, as opposed to that they can't be reached.
func CredentialsRefused(err error) bool {
	return errors.Is(err, kafkago.SASLAuthenticationFailed) || errors.Is(err, kafkago.UnsupportedSASLMechanism) || CertificateRejected(err)
}

// tlsAlert is the operation that crypto/tls names where the other side has sent an
// alert, whose type it doesn't export.
const tlsAlert = "remote error"

// CertificateRejected reports whether err says that one side does not believe
// the other's certificate.
func CertificateRejected(err error) bool {
	var (
		authority x509.UnknownAuthorityError
		host      x509.HostnameError
		invalid   x509.CertificateInvalidError
		remote    *net.OpError
	)
	return errors.As(err, &authority) || errors.As(err, &host) || errors.As(err, &invalid) ||
		errors.As(err, &remote) && remote.Op == tlsAlert
}
