package http1

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/textproto"
	"strings"
	"testing"
	"time"
)

const chunkedBody = "2\r\n{}\r\n0\r\n\r\n"

// A request whose end is not clear is answered by its Transfer-Encoding, and is
// the last of its connection, whoever served those before it.
func TestLengthBesideTransferEncoding(t *testing.T) {
	const both = "POST /logs HTTP/1.1\r\nHost: orders\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n" + chunkedBody
	for name, tt := range map[string]struct {
		before  []string // requests that are answered, and leave the connection open
		request string
		body    string
		closes  bool
	}{
		"at once":                {nil, both, "{}", true},
		"the other way round":    {nil, "POST /logs HTTP/1.1\r\nTransfer-Encoding: chunked\r\ncontent-length: 99\r\nHost: orders\r\n\r\n" + chunkedBody, "{}", true},
		"after one of ours":      {[]string{post("{}")}, both, "{}", true},
		"after net/http's":       {[]string{"GET / HTTP/1.1\r\nHost: orders\r\n\r\n"}, both, "{}", true},
		"after chunks":           {[]string{"POST /logs HTTP/1.1\r\nHost: orders\r\nTransfer-Encoding: chunked\r\n\r\n" + chunkedBody}, both, "{}", true},
		"HTTP/1.0 has no chunks": {nil, "POST /logs HTTP/1.0\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n", "", true},
		"chunks":                 {nil, "POST /logs HTTP/1.1\r\nHost: orders\r\nTransfer-Encoding: chunked\r\n\r\n" + chunkedBody, "{}", false},
		"length":                 {[]string{"GET / HTTP/1.1\r\nHost: orders\r\n\r\n"}, post("{}"), "{}", false},
		"one after the other":    {[]string{"GET / HTTP/1.1\r\nHost: orders\r\n\r\n", post("{}")}, "POST /logs HTTP/1.1\r\nHost: orders\r\nTransfer-Encoding: chunked\r\n\r\n" + chunkedBody, "{}", false},
		"names in a body":        {nil, "POST /logs HTTP/1.1\r\nHost: orders\r\nTransfer-Encoding: chunked\r\n\r\n27\r\n{\"text\":\"Content-Length: 1 is unclear\"}\r\n0\r\n\r\n", `{"text":"Content-Length: 1 is unclear"}`, false},
	} {
		serveEach(t, name, func(t *testing.T, dial func() *client) {
			c := dial()
			for _, request := range tt.before {
				c.send(t, request)
				if got := c.answer(t); got.status != 200 || got.header.Get("Connection") != "" {
					t.Fatalf("before: %v", got)
				}
			}
			c.send(t, tt.request)
			got := c.answer(t)
			if want := fmt.Sprintf("%q <nil>", tt.body); got.status != 200 || !strings.HasSuffix(got.body, want) {
				t.Errorf("got %v, want %s", got, want)
			}
			if closes := got.header.Get("Connection") == "close"; closes != tt.closes {
				t.Errorf("the response says that it is the last: %v", closes)
			}
			if tt.closes {
				c.closed(t)
				return
			}
			c.send(t, post("{}"))
			if got := c.answer(t); got.status != 200 {
				t.Errorf("the next request got %v", got)
			}
		})
	}
}

// serveEach runs a test with a plain server and one of TLS.
func serveEach(t *testing.T, name string, test func(t *testing.T, dial func() *client)) {
	t.Run(name, func(t *testing.T) {
		in := start(t, echo)
		test(t, func() *client { return dial(t, in.address) })
	})
	t.Run(name+", TLS", func(t *testing.T) {
		address, _ := serveTLS(t, echo)
		test(t, func() *client {
			return dialTLS(t, address, "http/1.1")
		})
	})
}

// serveTLS serves the handler until the test ends.
func serveTLS(t *testing.T, handler http.HandlerFunc) (address string, in *servant) {
	t.Helper()
	in = start(t, handler)
	server := httptest.NewUnstartedServer(nil) // for its certificate
	server.StartTLS()
	t.Cleanup(server.Close)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() {
		served <- in.Serve(tls.NewListener(listener, &tls.Config{Certificates: server.TLS.Certificates, NextProtos: []string{"h2", "http/1.1"}}))
	}()
	t.Cleanup(func() { _ = listener.Close(); <-served })
	return listener.Addr().String(), in
}

func dialTLS(t *testing.T, address string, protocols ...string) *client {
	t.Helper()
	c := dial(t, address)
	secure := tls.Client(c.Conn, &tls.Config{InsecureSkipVerify: true, NextProtos: protocols}) //nolint:gosec // the test's own server
	return &client{Conn: secure, tcp: c.tcp, reader: bufio.NewReader(secure)}
}

// What the handler is told of TLS is told whoever did the handshake.
func TestConnectionsUnderTLS(t *testing.T) {
	address, in := serveTLS(t, func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%s %v", r.Proto, r.TLS != nil && r.TLS.HandshakeComplete)
	})
	for want, protocols := range map[string][]string{"HTTP/1.1 true": {"http/1.1"}, "HTTP/1.1  true": nil, "HTTP/2.0 true": {"h2"}} {
		want = strings.ReplaceAll(want, "  ", " ")
		transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true, NextProtos: protocols}, ForceAttemptHTTP2: len(protocols) == 1 && protocols[0] == "h2"} //nolint:gosec // the test's own server
		response, err := (&http.Client{Transport: transport}).Get("https://" + address)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(response.Body); string(got) != want || err != nil {
			t.Errorf("got %q, %v, want %q", got, err, want)
		}
		_ = response.Body.Close()
		transport.CloseIdleConnections()
	}
	// net/http says why a handshake failed, and tells who speaks plain HTTP.
	c := dial(t, address)
	c.send(t, post("{}"))
	if got, err := io.ReadAll(c.reader); err != nil || !strings.HasPrefix(string(got), "HTTP/1.0 400 Bad Request") {
		t.Errorf("got %q, %v", got, err)
	}
	waitFor(t, "the log of the handshake", func() bool {
		return strings.Contains(in.logged.String(), "client sent an HTTP request to an HTTPS server")
	})
}

// A client that never begins with its handshake is not waited for long.
func TestSlowHandshake(t *testing.T) {
	in := start(t, echo, func(s *http.Server) { s.ReadHeaderTimeout = 100 * time.Millisecond })
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() {
		served <- in.Serve(tls.NewListener(listener, &tls.Config{Certificates: make([]tls.Certificate, 1)}))
	}() //nolint:gosec // nothing is served
	t.Cleanup(func() { _ = listener.Close(); <-served })
	dial(t, listener.Addr().String()).closed(t)
}

// Whatever its pieces, no head with both is overlooked that net/http takes.
func FuzzFraming(f *testing.F) {
	for _, seed := range []string{
		"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
		"POST / HTTP/1.1\nHost: a\ntransfer-encoding: chunked\nCONTENT-LENGTH: 5\n\n",
		"POST / HTTP/1.1\r\nHost: a\r\nX: a\r\n b\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:chunked\r\nX:\r\n \r\nContent-Length:5\r\n\r\n",
		"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
	} {
		f.Add([]byte(seed), []byte("{}"), 7)
	}
	f.Fuzz(func(t *testing.T, head, before []byte, cut int) {
		if bytes.HasPrefix(before, []byte("PRI")) {
			return
		}
		all := append(bytes.Clone(before), head...)
		var whole, pieces framing
		whole.see(all)
		for rest, n := all, max(1, cut%(len(all)+1)); len(rest) > 0; rest = rest[min(n, len(rest)):] {
			pieces.see(rest[:min(n, len(rest))])
		}
		if whole.unclear.Load() != pieces.unclear.Load() || whole.coded.Load() != pieces.coded.Load() {
			t.Fatalf("%q: whole %v, in pieces %v", all, whole.unclear.Load(), pieces.unclear.Load())
		}
		request, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(head)))
		if err != nil || request.ContentLength >= 0 || request.ProtoMajor != 1 {
			return // refused, or not chunked
		}
		lines := textproto.NewReader(bufio.NewReader(bytes.NewReader(head)))
		_, _ = lines.ReadLine()
		header, _ := lines.ReadMIMEHeader()
		if len(header["Content-Length"]) > 0 && !whole.unclear.Load() {
			t.Errorf("%q behind %q is overlooked", head, before)
		}
	})
}
