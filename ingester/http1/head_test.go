package http1

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// What is odd in any way is net/http's to answer, at once and with all of its
// bytes; on a new connection, and on one that was ours before.
func TestHandedOver(t *testing.T) {
	const rest = " HTTP/1.1\r\nHost: orders\r\nContent-Length: 2\r\n"
	long := "X-Long: " + strings.Repeat("x", 30<<10) + "\r\n"
	tests := []struct {
		name, request string
		status        int // by net/http
	}{
		{"GET", "GET / HTTP/1.1\r\nHost: orders\r\n\r\n", 200},
		{"chunked", "POST / HTTP/1.1\r\nHost: orders\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n", 200},
		{"chunked and a length", "POST /" + rest + "Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n", 200},
		{"an unknown coding", "POST /" + rest + "Transfer-Encoding: gzip, chunked\r\n\r\n{}", 501},
		{"Expect", "POST /" + rest + "Expect: 100-continue\r\n\r\n{}", 100},
		{"another expectation", "POST /" + rest + "Expect: more\r\n\r\n{}", 417},
		{"Upgrade", "POST /" + rest + "Connection: Upgrade\r\nUpgrade: h2c\r\n\r\n{}", 200},
		{"Connection: close", "POST /" + rest + "Connection: close\r\n\r\n{}", 200},
		{"HTTP/1.0", "POST / HTTP/1.0\r\nContent-Length: 2\r\n\r\n{}", 200},
		{"HTTP/1.2", "POST / HTTP/1.2\r\nHost: orders\r\nContent-Length: 2\r\n\r\n{}", 200},
		{"no length", "POST / HTTP/1.1\r\nHost: orders\r\n\r\n", 200},
		{"a length twice", "POST /" + rest + "Content-Length: 2\r\n\r\n{}", 200},
		{"two lengths", "POST /" + rest + "Content-Length: 3\r\n\r\n{}", 400},
		{"a signed length", "POST / HTTP/1.1\r\nHost: orders\r\nContent-Length: +2\r\n\r\n{}", 400},
		{"a length that is too large", "POST / HTTP/1.1\r\nHost: orders\r\nContent-Length: 99999999999999999999\r\n\r\n{}", 400},
		{"a list of lengths", "POST / HTTP/1.1\r\nHost: orders\r\nContent-Length: 2, 2\r\n\r\n{}", 400},
		{"no host", "POST / HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}", 400},
		{"two hosts", "POST /" + rest + "Host: orders\r\n\r\n{}", 400},
		{"a malformed host", "POST / HTTP/1.1\r\nHost: a b\r\nContent-Length: 2\r\n\r\n{}", 400},
		{"a host with a user", "POST / HTTP/1.1\r\nHost: u@h\r\nContent-Length: 2\r\n\r\n{}", 400},
		{"a whole URL", "POST http://other/" + rest + "\r\n{}", 200},
		{"no path", "POST *" + rest + "\r\n{}", 200},
		{"two spaces", "POST  /" + rest + "\r\n{}", 400},
		{"a small method", "post /" + rest + "\r\n{}", 200},
		{"a bad escape", "POST /%zz" + rest + "\r\n{}", 400},
		{"a control in the path", "POST /\x01" + rest + "\r\n{}", 400},
		{"bare LF", strings.ReplaceAll("POST /"+rest+"\r\n", "\r\n", "\n") + "{}", 200},
		{"bare LF after the length", "POST /" + rest + "X: y\n\r\n{}", 200},
		{"bare CR", "POST /" + rest + "X: y\rz\r\n\r\n{}", 400},
		{"a folded line", "POST /" + rest + "X: y\r\n z\r\n\r\n{}", 200},
		{"a first line folded", "POST / HTTP/1.1\r\n Host: orders\r\nContent-Length: 2\r\n\r\n{}", 400},
		{"a space before the colon", "POST /" + rest + "X : y\r\n\r\n{}", 400},
		{"no colon", "POST /" + rest + "X\r\n\r\n{}", 400},
		{"no name", "POST /" + rest + ": y\r\n\r\n{}", 400},
		{"a name that is no token", "POST /" + rest + "X(): y\r\n\r\n{}", 400},
		{"a control in a value", "POST /" + rest + "X: a\x00b\r\n\r\n{}", 400},
		{"a field twice", "POST /" + rest + "X: a\r\nX: b\r\n\r\n{}", 200},
		{"a field twice in other letters", "POST /" + rest + "x-a: a\r\nX-A: b\r\n\r\n{}", 200},
		{"Trailer", "POST /" + rest + "Trailer: X\r\n\r\n{}", 200},
		{"Pragma", "POST /" + rest + "Pragma: no-cache\r\n\r\n{}", 200},
		{"too many fields", "POST /" + rest + manyFields(maxLines) + "\r\n{}", 200},
		{"a header of 30 KiB", "POST /" + rest + long + "\r\n{}", 431},
		{"too many empty lines first", "\r\n\r\n\r\nPOST /" + rest + "\r\n{}", 400},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			in := start(t, func(w http.ResponseWriter, r *http.Request) {
				if ours(w) != (r.Header.Get("X-Before") != "") {
					t.Errorf("%s is served by the wrong server", r.URL)
				}
				_, _ = io.Copy(w, r.Body)
			})
			for _, used := range []bool{false, true} {
				c := dial(t, in.address)
				if used {
					c.send(t, post("{}", "X-Before: yes"))
					if got := c.answer(t); got.status != 200 || got.body != "{}" {
						t.Fatal(got)
					}
				}
				c.send(t, tt.request)
				if got := c.answer(t); got.status != tt.status {
					t.Errorf("got %v, want %d (used before: %v)", got, tt.status, used)
				}
			}
		})
	}
}

func manyFields(n int) string {
	var fields strings.Builder
	for i := range n {
		fmt.Fprintf(&fields, "X-%d: y\r\n", i)
	}
	return fields.String()
}

// The beginning of what is not ours is enough to hand it over: its sender may
// send no more before it has an answer.
func TestFirstBytesDecide(t *testing.T) {
	tests := []struct {
		bytes string
		want  verdict
	}{
		{"", incomplete},
		{"P", incomplete},
		{"POST", incomplete},
		{"POST ", incomplete},
		{"POST /logs HTTP/1.1\r\nHo", incomplete},
		{"POST /logs HTTP/1.1\r\n\r", incomplete},
		{"POST /logs HTTP/1.1\r\n\r\n", complete},
		{"G", foreign},
		{"PR", foreign},
		{"POSTS", foreign},
		{"POST\t", foreign},
		{"\r\n", foreign},
		{"\n", foreign},
		{"\x16\x03\x01", foreign},
		{"GET / HTTP/1.1\r\n", foreign},
		{"POST / HTTP/1.1\n", foreign},
		{"POST / HTTP/1.1\r\nHost: orders\n", foreign},
	}
	for _, tt := range tests {
		var whole head
		if got := whole.find([]byte(tt.bytes)); got != tt.want {
			t.Errorf("%q is %v, want %v", tt.bytes, got, tt.want)
		}
		var slow head
		got := incomplete
		for i := 0; i <= len(tt.bytes) && got == incomplete; i++ {
			got = slow.find([]byte(tt.bytes[:i]))
		}
		if got != tt.want {
			t.Errorf("%q byte by byte is %v, want %v", tt.bytes, got, tt.want)
		}
	}
}

// What changes from one request of a connection to the next is seen.
func TestHeadsOfOneConnection(t *testing.T) {
	heads := []string{
		"POST /logs HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nX-A: 1\r\n\r\n",
		"POST /logs HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nX-A: 1\r\n\r\n",
		"POST /logs HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nX-A: 2\r\n\r\n",
		"POST /logs?ack=queued HTTP/1.1\r\nHost: b\r\nContent-Length: 3\r\nX-A: 2\r\n\r\n",
		"POST /logs HTTP/1.1\r\nHost: b\r\nContent-Length: 3\r\nX-B: 2\r\n\r\n",
		"POST /logs HTTP/1.1\r\nHost: b\r\nContent-Length: 3\r\n\r\n",
		"POST /logs HTTP/1.1\r\nContent-Length: 3\r\nHost: b\r\n\r\n",
		"POST /logs HTTP/1.1\r\nHost: b\r\nX-A: 2\r\nContent-Length:\t 0004 \r\n\r\n",
		"POST /logs HTTP/1.1\r\nHost: b\r\nx-a:\r\nContent-Length: 4\r\n\r\n",
		"POST /logs HTTP/1.1\r\nHost: b\r\nX-A-: \t\r\nContent-Length: 4\r\n\r\n",
	}
	var h head
	for _, text := range heads {
		h.begin()
		if h.find([]byte(text)) != complete || !h.parse([]byte(text)) {
			t.Fatalf("%q is refused", text)
		}
		if got, want := requestOf(&h), netHTTP(t, text); !cmp.Equal(got, want) {
			t.Errorf("%q: %s", text, cmp.Diff(want, got))
		}
	}
	for _, text := range []string{
		"POST /logs HTTP/1.1\r\nHost: b\r\nX-A-: \t\r\nContent-Length: 4x\r\n\r\n",
		"POST /logs HTTP/1.1\r\nHost: b\r\nX-A-: \t\r\nContent-Length:\r\n\r\n",
		"POST /logs HTTP/1.1\r\nHost: \r\nX-A-: \t\r\nContent-Length: 4\r\n\r\n",
	} {
		h.begin()
		if h.find([]byte(text)) == complete && h.parse([]byte(text)) {
			t.Errorf("%q is accepted after another", text)
		}
	}
}

// seenRequest is what a handler sees.
type seenRequest struct {
	Method, Target, URL, Host, Path, Query string
	Header                                 http.Header
	Length                                 int64
}

func requestOf(h *head) seenRequest {
	return seenRequest{"POST", h.target, h.url.String(), h.host, h.url.Path, h.url.RawQuery, h.header, h.length}
}

func netHTTP(t testing.TB, text string) seenRequest {
	t.Helper()
	r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(text)))
	if err != nil {
		t.Fatalf("net/http refuses %q: %v", text, err)
	}
	if r.Close || len(r.TransferEncoding) > 0 || r.Proto != "HTTP/1.1" || r.Trailer != nil {
		t.Fatalf("net/http takes %q for another kind of message: %+v", text, r)
	}
	return seenRequest{r.Method, r.RequestURI, r.URL.String(), r.Host, r.URL.Path, r.URL.RawQuery, r.Header, r.ContentLength}
}

// Whatever is accepted is what net/http makes of it, too: the requests of a
// connection one after the other, with their bodies, up to the first that is
// handed over.
func FuzzHead(f *testing.F) {
	ordinary := post("{}", "Content-Type: application/json", "Connection: keep-alive", "User-Agent: shipper/1.0")
	for _, seed := range []string{
		ordinary, ordinary + ordinary, ordinary + post("{}{}"), post("", "X:\t y \t", "Te: trailers"),
		"POST //a/%2f/../b?ack=queued&x=%41 HTTP/1.1\r\nhost: [::1]:80\r\ncontent-length: 000\r\n\r\n",
		post("{}", "Transfer-Encoding: chunked"), post("{}", "Content-Length: 2"), post("{}", "x: y", " z"),
		"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
		post("{}", "X: \xff\x80"), post("{}", "Connection: close"), strings.ReplaceAll(ordinary, "\r\n", "\n"),
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, stream []byte) {
		var h head
		reference := bufio.NewReader(bytes.NewReader(stream))
		for {
			h.begin()
			if h.find(stream) != complete || !h.parse(stream) {
				return
			}
			stream = stream[h.size():]
			r, err := http.ReadRequest(reference)
			if err != nil {
				t.Fatalf("net/http refuses what is accepted: %v", err)
			}
			if r.Close || len(r.TransferEncoding) > 0 || r.Proto != "HTTP/1.1" || r.Trailer != nil {
				t.Fatalf("net/http takes it for another kind of message: %+v", r)
			}
			want := seenRequest{r.Method, r.RequestURI, r.URL.String(), r.Host, r.URL.Path, r.URL.RawQuery, r.Header, r.ContentLength}
			if got := requestOf(&h); !cmp.Equal(got, want, cmpopts.EquateEmpty()) {
				t.Fatal(cmp.Diff(want, got))
			}
			body := stream[:min(h.length, int64(len(stream)))]
			stream = stream[len(body):]
			if all, _ := io.ReadAll(r.Body); !bytes.Equal(all, body) {
				t.Fatalf("the body is %q, but net/http reads %q", body, all)
			}
		}
	})
}
