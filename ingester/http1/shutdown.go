package http1

import (
	"cmp"
	"context"
	"errors"
	"net"
	"sync"
	"time"
)

// newGrace is how long a connection on which nothing has come yet is waited
// for when the server shuts down, in case that its first request is on its way.
const newGrace = 5 * time.Second

// Shutdown closes the listeners and the idle connections, and waits until the
// requests that run have been answered, with Connection: close, or ctx ends:
// then it returns its error, and Close may follow. Once it returns nil no
// goroutine of the server is left.
func (s *Server) Shutdown(ctx context.Context) error {
	err := s.drain()
	others := make(chan error, 1)
	go func() { others <- s.fallback.Shutdown(ctx) }()
	s.closeAll(idle)
	if failed := cmp.Or(s.awaitQuiet(ctx), <-others); failed != nil {
		return errors.Join(err, failed)
	}
	s.end()
	return err
}

// awaitQuiet waits until nothing is left, or ctx ends.
func (s *Server) awaitQuiet(ctx context.Context) error {
	grace := time.NewTimer(newGrace)
	defer grace.Stop()
	for {
		select {
		case <-s.quiet:
			return nil
		case <-grace.C:
			s.closeAll(fresh)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// closeAll closes the connections that are in a state, in which none is used.
func (s *Server) closeAll(state int32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		if c.state.CompareAndSwap(state, closing) {
			_ = c.conn.Close()
		}
	}
}

// Close closes the listeners and all connections, ends the contexts of their
// requests, and waits for the handlers to return; not for those of connections
// that net/http serves, which closes them likewise, and not for itself: it must
// not be called by a handler.
func (s *Server) Close() error {
	err := errors.Join(s.drain(), s.fallback.Close())
	s.mu.Lock()
	for c := range s.conns {
		c.abort()
	}
	s.mu.Unlock()
	<-s.quiet
	s.end()
	return err
}

// drain makes the server one that takes no more connections.
func (s *Server) drain() (err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.draining.Swap(true) {
		close(s.leaving)
	}
	for l := range s.listeners {
		err = errors.Join(err, l.Close())
	}
	s.settleLocked()
	return err
}

// end waits for what runs in the background.
func (s *Server) end() {
	s.mu.Lock()
	select {
	case <-s.over:
	default:
		close(s.over)
	}
	s.mu.Unlock()
	s.background.Wait()
}

// enter reports whether a listener may be served.
func (s *Server) enter(l *listener) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.draining.Load() {
		return false
	}
	s.listeners[l] = struct{}{}
	return true
}

func (s *Server) leave(l *listener) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.listeners, l)
	s.settleLocked()
}

func (s *Server) forget(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, c)
	s.settleLocked()
}

// settleLocked notes that nothing is left of a server that drains.
func (s *Server) settleLocked() {
	if !s.draining.Load() || len(s.listeners)+len(s.conns) > 0 {
		return
	}
	select {
	case <-s.quiet:
	default:
		close(s.quiet)
	}
}

// listener is one that can be closed by several.
type listener struct {
	net.Listener
	once sync.Once
	err  error
}

func (l *listener) Close() error {
	l.once.Do(func() { l.err = l.Listener.Close() })
	return l.err
}

// The states of a connection. Those who change it from idle to something else
// decide by that whether it is used or closed.
const (
	fresh int32 = iota // nothing has come yet
	idle               // between two requests
	active
	closing
)

// abort ends a connection, whatever happens on it.
func (c *conn) abort() {
	c.state.Store(closing)
	c.cancel()
	_ = c.conn.Close()
}
