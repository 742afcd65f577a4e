package aggregationtest

import (
	"context"
	"io"
	"net"
	"testing"
)

// Balancer plays the Service's part: it forwards connections to the first
// backend that takes them.
type Balancer struct {
	listener net.Listener
	backends []string
}

// NewBalancer forwards from a port of localhost until the test ends. A backend
// is an address that may not be listened at yet.
func NewBalancer(t *testing.T, backends ...string) *Balancer {
	t.Helper()
	var listening net.ListenConfig
	listener, err := listening.Listen(t.Context(), "tcp", "localhost:0")
	if err != nil {
		t.Fatal(err)
	}
	b := &Balancer{listener, backends}
	go b.serve(t.Context())
	t.Cleanup(func() { _ = listener.Close() })
	return b
}

// Port is that of localhost which is forwarded.
func (b *Balancer) Port() int { return b.listener.Addr().(*net.TCPAddr).Port }

func (b *Balancer) serve(ctx context.Context) {
	for {
		connection, err := b.listener.Accept()
		if err != nil {
			return
		}
		go b.forward(ctx, connection)
	}
}

func (b *Balancer) forward(ctx context.Context, connection net.Conn) {
	defer func() { _ = connection.Close() }()
	for _, backend := range b.backends {
		var dialer net.Dialer
		forwarded, err := dialer.DialContext(ctx, "tcp", backend)
		if err != nil {
			continue
		}
		defer func() { _ = forwarded.Close() }()
		done := make(chan struct{}, 2)
		go func() { pipe(forwarded, connection); done <- struct{}{} }()
		go func() { pipe(connection, forwarded); done <- struct{}{} }()
		<-done
		return
	}
}

func pipe(to io.Writer, from io.Reader) {
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		if _, failed := to.Write(buffer[:n]); failed != nil || err != nil {
			return
		}
	}
}
