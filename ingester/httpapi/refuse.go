package httpapi

import (
	"errors"
	"io"
	"time"
)

// A refused body is read on for a bounded while. Up to drainFirstBytes of it
// are dropped before the response, so that the connection can be kept; if that
// was not all, up to drainAfterBodies times maxBodyBytes are dropped after it.
const (
	drainFirstBytes = 256 << 10
	drainFirstTime  = 500 * time.Millisecond
	drainAfterTime  = 2 * time.Second
	// drainAfterBodies is more than 1 for those who send a little too much.
	drainAfterBodies = 2
)

// refuse answers with the problem in a way that lets the client see it.
//
// Closing a connection on which bytes arrive that nobody reads resets it, and
// a reset can destroy the response before the client has read it. So a small
// body is read to its end first. Before a large one the response is sent at
// once, for a client that looks can then stop sending; what it still sends is
// dropped, and the connection is closed.
//
// With HTTP/2 there is no reset of the connection, but one of the stream, which
// some clients take for the end of the response as well: curl 7.88 does. So a
// body is read on there, too, but the connection is kept whatever comes.
func (x *exchange) refuse(p *problem) {
	// The reservation must not wait for the client.
	x.giveBack(0)
	drain := x.mayDrain(p)
	if x.isAwaited() {
		// net/http looks for the body nevertheless, as long as it may.
		_ = x.control.SetReadDeadline(time.Now().Add(drainFirstTime))
	}
	if drain && x.r.ContentLength <= drainFirstBytes {
		x.bodyRead = x.drainBody(drainFirstBytes, drainFirstTime)
	}
	if p.kind == draining || !x.bodyRead && x.r.ProtoMajor == 1 {
		// It also keeps net/http from taking the rest of the body for the
		// next request.
		x.w.Header().Set("Connection", "close")
	}
	if !drain || x.bodyRead {
		x.sendProblem(p)
		return
	}
	// net/http's permission to read the body after the response has begun.
	_ = x.control.EnableFullDuplex()
	x.sendProblem(p)
	_ = x.control.Flush()
	x.drainBody(drainAfterBodies*int64(x.options.Limits.MaxBodyBytes), drainAfterTime)
}

// mayDrain reports whether there is a body that can be read on.
func (x *exchange) mayDrain(p *problem) bool {
	return !x.bodyRead && !p.broken && !x.isAwaited()
}

// isAwaited reports whether the client waits for "100 Continue": it sends no
// body once it has been refused.
func (x *exchange) isAwaited() bool {
	return x.r.Header.Get("Expect") != "" && !x.bodyStarted
}

// drainBody drops the rest of the body, and reports whether that was at most
// limit bytes and came in time.
func (x *exchange) drainBody(limit int64, within time.Duration) bool {
	_ = x.control.SetReadDeadline(time.Now().Add(within))
	n, err := io.CopyN(io.Discard, x.r.Body, limit+1)
	return errors.Is(err, io.EOF) && n <= limit
}
