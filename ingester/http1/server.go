// Package http1 serves the ordinary request of a shipper, a POST by HTTP/1.1
// with a Content-Length, at a fraction of what net/http's server costs, and
// leaves everything else to net/http.
//
// It takes a request only if all of its head is of one strict form (head.go):
// the form in which RFC 9112 leaves nothing to interpret. At the first byte
// that is not, the connection goes to a net/http server for good, with all
// bytes that were read: so in whatever is odd, malformed or merely rare it is
// net/http that decides, and no message can be understood in two ways.
//
// What makes it cheap is that a connection has one of everything. Its request,
// header map, response and buffers are used again for the next request, and a
// line of the head that is the same as in the request before is not parsed
// again, but compared. So a steady client costs no allocation.
//
// A handler has to keep to what http.Handler asks of it: it must not modify
// the request, and once it has returned it must not use the ResponseWriter,
// the request, its header or its body. Here that counts, for they are the next
// request's. The strings in them may be kept.
package http1

import (
	"context"
	"errors"
	"log"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// Server serves plain-text connections. It differs from http.Server in this:
//
//   - The context of a request is that of its connection. It ends when the
//     client leaves, which is noticed one to two seconds after the handler
//     began to wait, and when the connection ends; not when the handler
//     returns.
//   - The deadline for reading is set by the goroutine that reads the body.
//   - A handler can neither hijack the connection nor send trailers.
//   - ConnContext is called by the goroutine of the connection, so perhaps for
//     several at once.
//   - ConnState is called only for connections that net/http serves, and
//     SetKeepAlivesEnabled counts only there.
//   - A client may take up to an eighth longer than WriteTimeout and
//     IdleTimeout say, so that they needn't be set anew for each request.
//   - A header of more than MaxHeaderBytes is net/http's to refuse.
//
// A connection with the methods Rest and Resume() bool is told when it begins and
// ceases to be idle, and is closed where Resume returns false: then its listener
// has made room for another.
//
// Connections need a method SyscallConn, as those of net.TCPListener have;
// others are net/http's at once, those of TLS after their handshake.
//
// A connection is closed after a request with both Content-Length and
// Transfer-Encoding, as RFC 9112, section 6.1, demands and net/http doesn't do.
type Server struct {
	handler  http.Handler
	fallback *http.Server
	others   *handover
	date     date

	draining   atomic.Bool
	begin      sync.Once
	background sync.WaitGroup // the fallback, and the watch over clients
	leaving    chan struct{}  // closed when draining
	over       chan struct{}  // closed when the watch is to end

	mu        sync.Mutex
	listeners map[*listener]struct{}
	conns     map[*conn]struct{}
	quiet     chan struct{} // closed when draining, and neither of them is left
}

// New returns a server with the handler and the settings of the fallback,
// which is the Server's own from now on: it serves, shuts down and closes it.
// Nothing runs before Serve.
func New(fallback *http.Server) *Server {
	s := &Server{
		handler:   fallback.Handler,
		fallback:  fallback,
		others:    newHandover(),
		leaving:   make(chan struct{}),
		over:      make(chan struct{}),
		listeners: map[*listener]struct{}{},
		conns:     map[*conn]struct{}{},
		quiet:     make(chan struct{}),
	}
	if s.handler == nil {
		s.handler = http.DefaultServeMux // as http.Server has it
	}
	fallback.Handler = wary(s.handler)
	fallback.ConnContext = inherit(fallback.ConnContext)
	return s
}

// Serve accepts connections until the listener fails, or Shutdown or Close is
// called: then it returns http.ErrServerClosed. It closes the listener. It may
// be called for several listeners at once. What it begins in the background is
// waited for by Shutdown and Close, one of which has to be called in any case.
func (s *Server) Serve(accepting net.Listener) error {
	l := &listener{Listener: accepting}
	defer func() { _ = l.Close() }()
	if !s.enter(l) {
		return http.ErrServerClosed
	}
	defer s.leave(l)
	s.begin.Do(func() {
		s.background.Go(s.serveOthers)
		s.background.Go(s.watch)
	})
	base := context.Background() // as http.Server has it, where no BaseContext is given
	if s.fallback.BaseContext != nil {
		base = s.fallback.BaseContext(accepting)
	}
	return s.accept(context.WithValue(base, http.ServerContextKey, s.fallback), l)
}

// accept begins to serve what comes, with the context base.
func (s *Server) accept(base context.Context, l *listener) error {
	const shortest, longest = 5 * time.Millisecond, time.Second
	pause := shortest
	for {
		c, err := l.Accept()
		if err == nil {
			pause = shortest
			s.welcome(base, c)
			continue
		}
		if s.draining.Load() {
			return http.ErrServerClosed
		}
		// Such as too many open files.
		if errno := syscall.Errno(0); !errors.As(err, &errno) || !errno.Temporary() {
			return err
		}
		s.logf("http1: accept: %v; retrying in %v", err, pause)
		select {
		case <-time.After(pause):
		case <-s.leaving:
		}
		pause = min(2*pause, longest)
	}
}

// welcome begins to serve a connection.
func (s *Server) welcome(base context.Context, accepted net.Conn) {
	c := newConn(s, accepted)
	s.mu.Lock()
	s.conns[c] = struct{}{}
	s.mu.Unlock()
	go c.serve(base)
}

func (s *Server) serveOthers() {
	if err := s.fallback.Serve(s.others); !errors.Is(err, http.ErrServerClosed) {
		s.logf("http1: %v; every connection that is not handed over is still served", err)
	}
}

func (s *Server) logf(format string, args ...any) {
	if s.fallback.ErrorLog != nil {
		s.fallback.ErrorLog.Printf(format, args...)
		return
	}
	log.Printf(format, args...) // as http.Server has it
}
