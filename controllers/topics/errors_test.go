package topics

import (
	"crypto/x509"
	"errors"
	"net"
	"syscall"
	"testing"
	"time"
)

// What a status quotes is the same each time: it would be written anew for
// every try.
func TestFailureIsToldInTheSameWordsEachTime(t *testing.T) {
	address := func(port int) net.Addr { return &net.TCPAddr{IP: net.IPv6loopback, Port: port} }
	expired := &x509.Certificate{Raw: []byte{0}, NotBefore: time.Unix(0, 0), NotAfter: time.Unix(60, 0)}
	reset := func(port int) error {
		return &net.OpError{Op: "read", Net: "tcp", Source: address(port), Addr: address(9092), Err: syscall.ECONNRESET}
	}
	unresolved := func(port int) error {
		lost := &net.OpError{Op: "read", Net: "udp", Source: address(port), Addr: address(53), Err: errors.New("i/o timeout")}
		return &net.OpError{Op: "dial", Net: "tcp", Err: &net.DNSError{Err: lost.Error(), Name: "kafka", Server: "[::1]:53"}}
	}
	outdated := func(at time.Time) error {
		_, err := expired.Verify(x509.VerifyOptions{Roots: x509.NewCertPool(), CurrentTime: at})
		return err
	}
	tests := map[string]struct {
		once, again error
		reason      Reason
		says        string
	}{
		"a connection that is reset": {
			reset(50001), reset(50002), Unreachable,
			"describe topics: read tcp [::1]:9092: connection reset by peer; check kafka.bootstrapServers and the brokers",
		},
		"a name that is not resolved": {
			unresolved(50001), unresolved(50002), Unreachable,
			"describe topics: dial tcp: lookup kafka on [::1]:53: read udp [::1]:53: i/o timeout; check kafka.bootstrapServers and the brokers",
		},
		"a certificate that has expired": {
			outdated(time.Unix(100, 0).UTC()), outdated(time.Unix(200, 0).UTC()), CertificateRejected,
			"describe topics: x509: certificate has expired or is not yet valid: it is after 1970-01-01T00:01:00Z; check the certificates that kafka.security and kafka.adminSecurity name",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if test.once.Error() == test.again.Error() {
				t.Fatalf("the cause is the same already: %v", test.once)
			}
			for _, cause := range []error{test.once, test.again} {
				err := unanswered("describe topics", cause, true)
				if err.Error() != test.says || ReasonOf(err) != test.reason || !errors.Is(err, cause) {
					t.Errorf("%s: %v\nwant %s: %s", ReasonOf(err), err, test.reason, test.says)
				}
			}
		})
	}
}
