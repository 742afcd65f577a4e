package http1

import (
	"bytes"
	"context"
	"net/http"
	"sync/atomic"
)

// framing watches what net/http reads of HTTP/1 for a head with both a
// Transfer-Encoding and a Content-Length. net/http goes by the former, and does
// not tell its handler of the latter; somebody between the client and us may
// have gone by the latter, and would then take what follows for another
// message. So the connection has to be closed (RFC 9112, section 6.1).
//
// It looks at lines, whether they belong to a head or to a body: in no head
// does it overlook the two, and what a body says that looks like them costs its
// client the connection, and nothing else.
type framing struct {
	begun          bool // the first line has been seen
	off            bool // this is HTTP/2
	line           [len("transfer-encoding:")]byte
	seen           int  // bytes of the line, as far as they are kept
	length, coding bool // fields that stand in these lines, without an empty one between them

	coded   atomic.Bool // there was a Transfer-Encoding
	unclear atomic.Bool // and a Content-Length with it
}

// see looks at the next bytes.
func (f *framing) see(p []byte) {
	for len(p) > 0 && !f.off {
		part, rest, ended := bytes.Cut(p, []byte{'\n'})
		f.seen += copy(f.line[f.seen:], part)
		if ended {
			f.endLine(f.line[:f.seen])
			f.seen = 0
		}
		p = rest
	}
}

func (f *framing) endLine(line []byte) {
	f.off = !f.begun && bytes.HasPrefix(line, []byte("PRI * HTTP/2"))
	f.begun = true
	switch {
	case len(line) == 0, len(line) == 1 && line[0] == '\r':
		f.length, f.coding = false, false
	case begins(line, "content-length:"):
		f.length = true
	case begins(line, "transfer-encoding:"):
		f.coding = true
		f.coded.Store(true)
	}
	if f.length && f.coding {
		f.unclear.Store(true)
	}
}

func begins(line []byte, name string) bool {
	return len(line) >= len(name) && bytes.EqualFold(line[:len(name)], []byte(name))
}

// endsWith reports whether the connection has to end with this request. In
// HTTP/1.0 there is no Transfer-Encoding: net/http doesn't heed it there.
func (f *framing) endsWith(r *http.Request) bool {
	return f.unclear.Load() || f.coded.Load() && !r.ProtoAtLeast(1, 1)
}

// framingKey finds the framing of a connection that net/http serves in its
// context.
type framingKey struct{}

// wary has the connection closed after a request whose end is not clear.
func wary(handler http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if f, watched := r.Context().Value(framingKey{}).(*framing); watched && f.endsWith(r) {
			w.Header().Set("Connection", "close")
		}
		handler.ServeHTTP(w, r)
	})
}

func withFraming(ctx context.Context, f *framing) context.Context {
	return context.WithValue(ctx, framingKey{}, f)
}
