package httpapi

import (
	"context"
	"errors"
	"net"
	"net/http"
	"sync"
	"syscall"

	"github.com/logpipeline/logpipeline/ingester/record"
)

// accountKey finds the account of a connection in its context.
type accountKey struct{}

// withAccount gives each connection an account of its own, which the requests
// of the connection share: one after the other, and with HTTP/2 at once.
func withAccount(queue Queue) func(context.Context, net.Conn) context.Context {
	return func(ctx context.Context, _ net.Conn) context.Context {
		return context.WithValue(ctx, accountKey{}, queue.NewAccount())
	}
}

// accountOf returns the account of the connection that the request came by; nil
// where NewServer's server didn't accept it.
func accountOf(r *http.Request) record.Account {
	account, _ := r.Context().Value(accountKey{}).(record.Account)
	return account
}

// Limit returns a listener that has at most n accepted connections open at a
// time. More of them wait, in the queue of the operating system, until one is
// closed.
func Limit(listener net.Listener, n int) net.Listener {
	return &limitedListener{Listener: listener, open: make(chan struct{}, n), closed: make(chan struct{})}
}

type limitedListener struct {
	net.Listener
	open   chan struct{} // holds a token for each connection
	once   sync.Once
	closed chan struct{}
}

// Accept waits for room, and then for a connection.
func (l *limitedListener) Accept() (net.Conn, error) {
	select {
	case l.open <- struct{}{}:
	case <-l.closed:
		return nil, net.ErrClosed
	}
	c, err := l.Listener.Accept()
	if err != nil {
		<-l.open
		return nil, err
	}
	return &limitedConn{Conn: c, leave: sync.OnceFunc(func() { <-l.open })}, nil
}

// Close makes Accept return; the connections stay open.
func (l *limitedListener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return l.Listener.Close()
}

type limitedConn struct {
	net.Conn
	leave func()
}

// Close makes room for another connection.
func (c *limitedConn) Close() error {
	defer c.leave()
	return c.Conn.Close()
}

// CloseWrite is what net/http looks for in order to say the last word on a
// connection on which bytes still arrive, without resetting it.
func (c *limitedConn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

// SyscallConn is what ingester/http1 looks for in order to see whether the
// client is still there; without it every connection would go to net/http.
func (c *limitedConn) SyscallConn() (syscall.RawConn, error) {
	if system, ok := c.Conn.(syscall.Conn); ok {
		return system.SyscallConn()
	}
	return nil, errors.ErrUnsupported
}
