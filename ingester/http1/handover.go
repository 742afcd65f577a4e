package http1

import (
	"context"
	"crypto/tls"
	"net"
	"sync"
)

// handover is the listener from which the fallback gets its connections.
type handover struct {
	conns  chan net.Conn
	once   sync.Once
	closed chan struct{}
}

func newHandover() *handover {
	return &handover{conns: make(chan net.Conn), closed: make(chan struct{})}
}

// offer hands a connection over, or closes it where nobody takes any more.
func (h *handover) offer(c net.Conn) {
	select {
	case h.conns <- c:
	case <-h.closed:
		_ = c.Close()
	}
}

func (h *handover) Accept() (net.Conn, error) {
	select {
	case c := <-h.conns:
		return c, nil
	case <-h.closed:
		return nil, net.ErrClosed
	}
}

func (h *handover) Close() error {
	h.once.Do(func() { close(h.closed) })
	return nil
}

// Addr is no address: the connections come from many.
func (h *handover) Addr() net.Addr { return &net.UnixAddr{Name: "handed over", Net: "http1"} }

// handedOver is a connection that net/http serves by HTTP/1, unless the client
// begins with HTTP/2.
type handedOver struct {
	net.Conn
	read    []byte // has been read before, and comes first
	framing framing
	// context is what ConnContext made for the connection; nil where it has
	// not been asked.
	context context.Context //nolint:containedctx // the connection's, on its way from one server to the other
}

// NetConn returns the connection itself, as that of tls.Conn does.
func (c *handedOver) NetConn() net.Conn { return c.Conn }

// Read returns what had been read, and then what comes.
func (c *handedOver) Read(p []byte) (n int, err error) {
	if len(c.read) == 0 {
		n, err = c.Conn.Read(p)
	} else {
		n = copy(p, c.read)
		c.read = c.read[n:]
	}
	c.framing.see(p[:n])
	return n, err
}

// underTLS is one whose handshake is done.
type underTLS struct {
	*handedOver
	state tls.ConnectionState
}

// ConnectionState is where net/http gets Request.TLS from.
func (c underTLS) ConnectionState() tls.ConnectionState { return c.state }

// CloseWrite is what net/http looks for before it says its last word.
func (c *handedOver) CloseWrite() error { return closeWrite(c.Conn) }

func closeWrite(c net.Conn) error {
	if half, ok := c.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

// inherit makes a ConnContext that calls the given one once for a connection,
// though it is served by two servers one after the other.
func inherit(connContext func(context.Context, net.Conn) context.Context) func(context.Context, net.Conn) context.Context {
	return func(ctx context.Context, c net.Conn) context.Context {
		var over *handedOver
		switch c := c.(type) {
		case *handedOver:
			over = c
		case underTLS:
			over = c.handedOver
		}
		switch {
		case over != nil && over.context != nil:
			ctx = over.context
		case connContext != nil:
			ctx = connContext(ctx, c)
		}
		if over != nil {
			ctx = withFraming(ctx, &over.framing)
		}
		return ctx
	}
}
