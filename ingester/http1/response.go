package http1

import (
	"fmt"
	"net/http"
	"strconv"
	"time"
)

const (
	// textBytes is how much of a response is held back to learn its length,
	// in bytes; a longer one without a Content-Length is sent in chunks.
	textBytes = 2 << 10
	// outBytes is how much is sent at once, in bytes, unless a part is longer.
	outBytes = 4 << 10
)

// response is the http.ResponseWriter of all requests of a connection.
type response struct {
	conn   *conn
	header http.Header
	keys   []string // of the header; kept for their order

	status     int
	length     int64 // that the header declares; -1 if it doesn't
	written    int64 // bytes of the body
	text       []byte
	typed      bool // the body needs no guess at its type
	headSent   bool // at least to conn.out
	chunked    bool
	fullDuplex bool
	failed     error // of the connection
}

func (w *response) begin() {
	*w = response{conn: w.conn, header: w.header, keys: w.keys, text: w.text[:0], length: -1}
	w.conn.out = w.conn.out[:0]
}

// reset forgets what the handler said.
func (w *response) reset() { clear(w.header) }

// Header returns the header, which is sent as it is when the status is written.
func (w *response) Header() http.Header { return w.header }

// WriteHeader begins the response. A status from 102 to 199, or 100, is sent at
// once, before that of the response.
func (w *response) WriteHeader(status int) {
	switch {
	case status < 100 || status > 999:
		panic(fmt.Sprintf("invalid WriteHeader code %v", status))
	case w.status != 0:
		w.conn.server.logf("http1: superfluous WriteHeader(%d) after %d", status, w.status)
		return
	}
	informs := status < 200 && status != http.StatusSwitchingProtocols
	if !informs {
		w.status = status
	}
	w.appendStatus(status)
	w.appendFields(informs)
	if informs {
		w.conn.out = append(w.conn.out, "\r\n"...)
		w.flush()
	}
}

// Write takes a part of the body, after status 200 if there is none yet.
func (w *response) Write(p []byte) (int, error) {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	switch {
	case len(p) == 0:
		return 0, nil
	case !hasBody(w.status):
		return 0, http.ErrBodyNotAllowed
	}
	w.written += int64(len(p))
	switch {
	case w.length >= 0 && w.written > w.length:
		return 0, http.ErrContentLength
	case w.headSent:
		w.put(p)
	default:
		w.holdBack(p)
	}
	if w.failed != nil {
		return 0, w.failed
	}
	return len(p), nil
}

// holdBack keeps a part of the body, until there is too much.
func (w *response) holdBack(p []byte) {
	kept := min(len(p), textBytes-len(w.text))
	w.text = append(w.text, p[:kept]...)
	if kept < len(p) {
		w.sendHead(false)
		w.put(p[kept:])
	}
}

// finish sends what is left of the response.
func (w *response) finish() {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	if !w.headSent {
		w.sendHead(true)
	}
	if w.chunked {
		w.conn.out = append(w.conn.out, "0\r\n\r\n"...)
	}
	w.flush()
	if w.failed != nil || w.length >= 0 && w.written != w.length && hasBody(w.status) {
		w.conn.closeAfter = true // or the next response would be taken for the rest of this one
	}
}

// put appends a part of the body to what is sent, or sends it.
func (w *response) put(p []byte) {
	if len(p) == 0 {
		return
	}
	c := w.conn
	if w.chunked {
		c.out = strconv.AppendInt(c.out, int64(len(p)), 16)
		c.out = append(c.out, "\r\n"...)
	}
	if len(c.out)+len(p) > outBytes {
		w.flush()
		w.send(p)
	} else {
		c.out = append(c.out, p...)
	}
	if w.chunked {
		c.out = append(c.out, "\r\n"...)
	}
}

func (w *response) flush() {
	if len(w.conn.out) > 0 {
		w.send(w.conn.out)
		w.conn.out = w.conn.out[:0]
	}
}

func (w *response) send(p []byte) {
	if w.failed == nil {
		_, w.failed = w.conn.conn.Write(p)
	}
}

// Flush sends what there is of the response.
func (w *response) Flush() { _ = w.FlushError() }

// FlushError does so, too, and returns the error of the connection. It is for
// http.ResponseController, as are those that follow.
func (w *response) FlushError() error {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	if !w.headSent {
		w.sendHead(false)
	}
	w.flush()
	return w.failed
}

// SetReadDeadline bounds reading this body.
func (w *response) SetReadDeadline(t time.Time) error {
	if !w.conn.body.whole() { // otherwise nothing will be waited for
		w.conn.setReadDeadline(t)
		w.conn.readBounded = true
	}
	return nil
}

// SetWriteDeadline bounds writing this response.
func (w *response) SetWriteDeadline(t time.Time) error {
	w.conn.setWriteDeadline(t)
	return nil
}

// EnableFullDuplex lets the body be read after the response has begun.
func (w *response) EnableFullDuplex() error {
	w.fullDuplex = true
	return nil
}
