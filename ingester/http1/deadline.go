package http1

import (
	"net/http"
	"time"
)

// deadline is when the timeout is over; never, if there is none.
func deadline(from time.Time, timeout time.Duration) time.Time {
	if timeout <= 0 {
		return time.Time{}
	}
	return from.Add(timeout)
}

func (s *Server) headerTimeout() time.Duration {
	if s.fallback.ReadHeaderTimeout != 0 {
		return s.fallback.ReadHeaderTimeout
	}
	return s.fallback.ReadTimeout
}

func (s *Server) idleTimeout() time.Duration {
	if s.fallback.IdleTimeout != 0 {
		return s.fallback.IdleTimeout
	}
	return s.fallback.ReadTimeout
}

func (s *Server) headerBytes() int {
	if s.fallback.MaxHeaderBytes > 0 {
		return s.fallback.MaxHeaderBytes
	}
	return http.DefaultMaxHeaderBytes
}

// lasts reports whether a deadline that was set leaves the timeout from now
// on, and not more than that and an eighth.
func lasts(set, now time.Time, timeout time.Duration) bool {
	left := set.Sub(now)
	return left >= timeout && left <= timeout+timeout/8
}

// extendWrite and extendIdle leave as much time as the timeouts say, or up to
// an eighth more.
func (c *conn) extendWrite(now time.Time) {
	if timeout := c.server.fallback.WriteTimeout; timeout <= 0 {
		c.setWriteDeadline(time.Time{})
	} else if !lasts(c.writeBy, now, timeout) {
		c.setWriteDeadline(now.Add(timeout + timeout/8))
	}
}

func (c *conn) extendIdle(now time.Time) {
	if timeout := c.server.idleTimeout(); timeout <= 0 {
		c.setReadDeadline(time.Time{})
	} else if !lasts(c.readBy, now, timeout) {
		c.setReadDeadline(now.Add(timeout + timeout/8))
	}
}

// setReadDeadline and setWriteDeadline change the deadlines if they have to.
// That fails only on a connection that is closed: then the next use says so.
func (c *conn) setReadDeadline(t time.Time) {
	if t != c.readBy {
		c.readBy = t
		_ = c.conn.SetReadDeadline(t)
	}
}

func (c *conn) setWriteDeadline(t time.Time) {
	if t != c.writeBy {
		c.writeBy = t
		_ = c.conn.SetWriteDeadline(t)
	}
}
