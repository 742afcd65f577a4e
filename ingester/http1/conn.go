package http1

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/url"
	"runtime/debug"
	"sync/atomic"
	"syscall"
	"time"
)

// conn is a connection, which one goroutine serves.
type conn struct {
	server   *Server
	conn     net.Conn
	raw      syscall.RawConn
	rests    resting // nil where the connection does not ask
	accepted time.Time
	state    atomic.Int32
	cancel   context.CancelFunc

	in   inbound
	head head
	body body
	out  []byte // of the response, not written yet

	template http.Request // with the connection's context
	request  http.Request
	url      url.URL
	response response

	readBy, writeBy time.Time // the deadlines that are set
	readWithin      time.Time // the deadline of the body, unless the handler sets another
	readBounded     bool      // one of them is set
	closeAfter      bool      // this response is the last
	left            bool      // to net/http

	turns atomic.Uint64 // handlers begun and ended: odd while one runs
	seen  uint64        // turns, as the watch over clients saw it last
}

func newConn(s *Server, accepted net.Conn) *conn {
	c := &conn{server: s, conn: accepted, accepted: time.Now()}
	c.rests, _ = accepted.(resting)
	c.cancel = func() {}
	c.body.conn = c
	c.response = response{conn: c, header: http.Header{}}
	return c
}

// resting is a connection that wants to know when it is idle, because whoever
// accepted it may then close it. Resume returns false where that has happened.
type resting interface {
	Rest()
	Resume() bool
}

// serve answers one request after the other, until it has to leave the
// connection to net/http, or closes it.
func (c *conn) serve(base context.Context) {
	defer c.server.forget(c)
	system, ok := c.conn.(syscall.Conn)
	if ok {
		var err error
		c.raw, err = system.SyscallConn()
		ok = err == nil
	}
	if !ok {
		c.leaveUnread(base)
		return
	}
	defer c.close()
	ctx := c.server.fallback.ConnContext(base, c.conn)
	c.open(ctx)
	for {
		switch c.next() {
		case lost:
			return
		case foreign:
			c.leaveTo(ctx)
			return
		case complete:
			if !c.exchange() {
				return
			}
		}
	}
}

// open prepares what all requests of the connection share.
func (c *conn) open(ctx context.Context) {
	ctx = context.WithValue(ctx, http.LocalAddrContextKey, c.conn.LocalAddr())
	ctx, cancel := context.WithCancel(ctx)
	c.server.mu.Lock()
	c.cancel = cancel
	aborted := c.state.Load() == closing
	c.server.mu.Unlock()
	if aborted {
		cancel()
	}
	c.template = *(&http.Request{
		Method: http.MethodPost, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		RemoteAddr: c.conn.RemoteAddr().String(),
	}).WithContext(ctx)
	c.in.open()
	c.setReadDeadline(deadline(c.accepted, c.server.headerTimeout()))
}

// leaveTo hands the connection over to net/http, with what has been read.
func (c *conn) leaveTo(ctx context.Context) {
	c.setReadDeadline(time.Time{})
	c.setWriteDeadline(time.Time{})
	left := &handedOver{Conn: c.conn, read: c.in.surrender(), context: ctx}
	c.left = true
	c.server.others.offer(left)
}

// leaveUnread hands over what is not a connection of the system's. HTTP/1 under
// TLS is watched there, for which the handshake has to be done; of one that
// fails, the next attempt is net/http's, and fails likewise.
func (c *conn) leaveUnread(ctx context.Context) {
	secure, ok := c.conn.(*tls.Conn)
	if !ok {
		c.server.others.offer(&handedOver{Conn: c.conn})
		return
	}
	_ = secure.SetDeadline(deadline(c.accepted, c.server.headerTimeout()))
	err := secure.HandshakeContext(ctx)
	_ = secure.SetDeadline(time.Time{})
	state := secure.ConnectionState()
	if err != nil || state.NegotiatedProtocol == "h2" {
		c.server.others.offer(secure)
		return
	}
	c.server.others.offer(underTLS{&handedOver{Conn: secure}, state})
}

// close ends what serve began, also where the handler panicked.
func (c *conn) close() {
	if reason := recover(); reason != nil && reason != http.ErrAbortHandler { //nolint:errorlint // a panic's value
		c.server.logf("http1: panic serving %v: %v\n%s", c.template.RemoteAddr, reason, debug.Stack())
	}
	c.cancel()
	c.in.close()
	if !c.left {
		_ = c.conn.Close()
	}
}

// exchange has the request handled whose head has been read, and reports
// whether another may follow.
func (c *conn) exchange() bool {
	now := time.Now()
	c.extendWrite(now)
	c.readWithin, c.readBounded = deadline(now, c.server.fallback.ReadTimeout), false
	c.closeAfter = false
	c.body.begin(c.head.length)
	c.response.begin()
	c.turns.Add(1)
	c.server.handler.ServeHTTP(&c.response, c.newRequest())
	c.turns.Add(1)
	c.response.finish()
	if c.body.left > 0 && !c.closeAfter {
		c.closeAfter = !c.body.drop()
	}
	c.body.closed = true
	c.response.reset()
	if c.closeAfter || c.server.draining.Load() {
		c.linger()
		return false
	}
	return true
}

func (c *conn) newRequest() *http.Request {
	c.request, c.url = c.template, c.head.url
	r := &c.request
	r.URL, r.RequestURI = &c.url, c.head.target
	r.Host, r.Header = c.head.host, c.head.header
	r.ContentLength, r.Body = c.head.length, http.NoBody
	if c.head.length > 0 {
		r.Body = &c.body
	}
	return r
}
