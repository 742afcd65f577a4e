package metricsapi

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"strconv"
	"time"
)

const (
	handshakeEvery   = 50 * time.Millisecond
	handshakeTimeout = 5 * time.Second
)

// awaitFrontProxy returns once the server asks those who connect for the
// certificate of the API server's front proxy, or ctx ends. It reads who that
// is a little after it has begun to listen; a connection made before that would
// be a stranger's for as long as it lasts.
func (s *Server) awaitFrontProxy(ctx context.Context, authorities func() []byte) {
	for ctx.Err() == nil {
		err := s.asksFor(ctx, authorities())
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
		case <-time.After(handshakeEvery):
		}
	}
}

// asksFor connects to the server itself to see whose certificates it asks for.
func (s *Server) asksFor(ctx context.Context, authorities []byte) error {
	ctx, cancel := context.WithTimeout(ctx, handshakeTimeout)
	defer cancel()
	asked := false
	dialer := tls.Dialer{Config: &tls.Config{
		InsecureSkipVerify: true, // nothing is said to whoever it is
		GetClientCertificate: func(info *tls.CertificateRequestInfo) (*tls.Certificate, error) {
			asked = containsAll(info.AcceptableCAs, authorities)
			return &tls.Certificate{}, nil
		},
	}}
	connection, err := dialer.DialContext(ctx, "tcp", own(s.options.Listener.Addr().(*net.TCPAddr)))
	if err != nil {
		return fmt.Errorf("connect to oneself: %w", err)
	}
	if err := connection.Close(); err != nil && !asked {
		return err
	}
	if !asked {
		return errors.New("the server does not ask for the front proxy's certificate yet")
	}
	return nil
}

// containsAll tells whether the subjects of all authorities, of which there are
// some, are among the acceptable ones.
func containsAll(acceptable [][]byte, authorities []byte) bool {
	some := false
	for block, rest := pem.Decode(authorities); block != nil; block, rest = pem.Decode(rest) {
		authority, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			continue
		}
		some = true
		if !contains(acceptable, authority.RawSubject) {
			return false
		}
	}
	return some
}

// own is where who listens at an address reaches itself.
func own(listening *net.TCPAddr) string {
	host := "localhost"
	if !listening.IP.IsUnspecified() {
		host = listening.IP.String()
	}
	return net.JoinHostPort(host, strconv.Itoa(listening.Port))
}
