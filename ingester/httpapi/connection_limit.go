package httpapi

import (
	"errors"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// fullLogInterval is how often it is logged, at most, that there is no room for
// a connection.
const fullLogInterval = time.Minute

// Limit returns a listener that hands out connections of which at most n are
// open at a time. For one more the connection is closed that has been idle for
// longest, as its server says by Rest and Resume; while none is idle, the new
// one waits, and others behind it in the queue of the operating system. That
// there is no room is counted, and logged at most once a minute.
func Limit(listener net.Listener, n int, logger *slog.Logger, reg prometheus.Registerer) net.Listener {
	l := &limitedListener{
		Listener: listener,
		logger:   logger,
		open:     make(chan struct{}, n),
		closed:   make(chan struct{}),
		conns:    map[*limitedConn]struct{}{},
		evicted: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "logpipeline_ingester_connections_evicted_total",
			Help: "Idle connections that were closed to make room for others.",
		}),
	}
	gauge := func(name, help string, read func() int) {
		reg.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, func() float64 { return float64(read()) }))
	}
	gauge("logpipeline_ingester_connections", "Connections that are open.", func() int { return len(l.open) })
	gauge("logpipeline_ingester_connections_limit", "Connections that may be open at a time (requestLimits.maxConnections).", func() int { return n })
	gauge("logpipeline_ingester_connections_waiting", "Whether a connection waits for another to be closed (1), and perhaps more behind it, or none does (0).", func() int { return int(l.waiting.Load()) })
	reg.MustRegister(l.evicted)
	return l
}

type limitedListener struct {
	net.Listener
	logger  *slog.Logger
	evicted prometheus.Counter
	open    chan struct{} // holds a token for each connection
	waiting atomic.Int32  // connections that wait for a token
	once    sync.Once
	closed  chan struct{}

	mu     sync.Mutex
	conns  map[*limitedConn]struct{}
	logged time.Time // when it was last said that there is no room
}

// Accept waits for a connection, and then for room.
func (l *limitedListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	if !l.enter() {
		_ = c.Close()
		return nil, net.ErrClosed
	}
	limited := &limitedConn{Conn: c, listener: l}
	limited.leave = sync.OnceFunc(func() {
		l.mu.Lock()
		delete(l.conns, limited)
		l.mu.Unlock()
		<-l.open
	})
	l.mu.Lock()
	l.conns[limited] = struct{}{}
	l.mu.Unlock()
	return limited, nil
}

// enter gets a token, unless the listener is closed before.
func (l *limitedListener) enter() bool {
	select {
	case l.open <- struct{}{}:
		return true
	default:
	}
	l.waiting.Add(1)
	defer l.waiting.Add(-1)
	l.makeRoom()
	select {
	case l.open <- struct{}{}:
		return true
	case <-l.closed:
		return false
	}
}

// makeRoom closes the connection that has been idle for longest, if one is, and
// if there is no room anyway.
func (l *limitedListener) makeRoom() {
	l.noteFull()
	for len(l.open) == cap(l.open) {
		oldest, since := l.longestIdle()
		if oldest == nil {
			return
		}
		if oldest.idle.CompareAndSwap(since, taken) {
			l.evicted.Inc()
			_ = oldest.Close()
			return
		}
	}
}

func (l *limitedListener) longestIdle() (oldest *limitedConn, since int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for c := range l.conns {
		if idle := c.idle.Load(); idle > 0 && (oldest == nil || idle < since) {
			oldest, since = c, idle
		}
	}
	return oldest, since
}

func (l *limitedListener) noteFull() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if now := time.Now(); l.logged.IsZero() || now.Sub(l.logged) >= fullLogInterval {
		l.logged = now
		l.logger.Warn("no room for another connection: idle ones are closed, and newcomers wait while there are none", "connections", cap(l.open), "limit", "requestLimits.maxConnections")
	}
}

// Close makes Accept return; the connections stay open.
func (l *limitedListener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return l.Listener.Close()
}

type limitedConn struct {
	net.Conn
	listener *limitedListener
	leave    func()
	// idle is since when the connection is, in nanoseconds of Unix time; 0 if
	// it isn't, and taken if it is being closed for that.
	idle atomic.Int64
}

const taken = -1

// Rest says that no request is being handled: from now on the connection may be
// closed to make room.
func (c *limitedConn) Rest() {
	if !c.idle.CompareAndSwap(0, time.Now().UnixNano()) {
		return
	}
	if c.listener.waiting.Load() > 0 {
		c.listener.makeRoom()
	}
}

// Resume says that a request has come. False means that it came too late: the
// connection is closed, and the request must not be handled.
func (c *limitedConn) Resume() bool {
	since := c.idle.Load()
	return since != taken && c.idle.CompareAndSwap(since, 0)
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
