package http1

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	runChild()
	// net/http waits half a second after its last word, also when it is closed.
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("net/http.(*conn).closeWriteAndWait"))
}

// servant is a running server of either kind.
type servant struct {
	*Server
	address string
	logged  *lockedText
	served  chan error
}

// start serves the handler until the test ends.
func start(t testing.TB, handler http.HandlerFunc, configure ...func(*http.Server)) *servant {
	t.Helper()
	in := &servant{logged: new(lockedText), served: make(chan error, 1)}
	fallback := &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: time.Minute,
		IdleTimeout:       time.Minute,
		WriteTimeout:      2 * time.Minute,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          log.New(in.logged, "", 0),
	}
	for _, change := range configure {
		change(fallback)
	}
	in.Server = New(fallback)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	in.address = listener.Addr().String()
	go func() { in.served <- in.Serve(listener) }()
	t.Cleanup(func() {
		if err := in.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
		if err := <-in.served; !errors.Is(err, http.ErrServerClosed) {
			t.Errorf("serve: %v", err)
		}
	})
	return in
}

// lockedText is a log that can be read while it is written.
type lockedText struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lockedText) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lockedText) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// client is a client's end of a connection, byte by byte.
type client struct {
	net.Conn
	tcp    *net.TCPConn // beneath
	reader *bufio.Reader
}

func (c *client) CloseWrite() error { return c.tcp.CloseWrite() }

func dial(t testing.TB, address string) *client {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(time.Minute))
	return &client{c, c.(*net.TCPConn), bufio.NewReader(c)}
}

func (c *client) send(t testing.TB, text string) {
	t.Helper()
	if _, err := io.WriteString(c, text); err != nil {
		t.Fatal(err)
	}
}

type answer struct {
	status int
	header http.Header
	body   string
}

// answer reads a response to a POST.
func (c *client) answer(t testing.TB) answer {
	t.Helper()
	got, err := c.tryAnswer()
	if err != nil {
		t.Fatalf("read the response: %v", err)
	}
	return got
}

func (c *client) tryAnswer() (answer, error) {
	response, err := http.ReadResponse(c.reader, &http.Request{Method: http.MethodPost})
	if err != nil {
		return answer{}, err
	}
	body, err := io.ReadAll(response.Body)
	if response.Close {
		response.Header.Set("Connection", "close")
	}
	return answer{response.StatusCode, response.Header, string(body)}, err
}

// closed waits for the orderly end of the connection.
func (c *client) closed(t testing.TB) {
	t.Helper()
	if rest, err := io.ReadAll(c.reader); err != nil || len(rest) > 0 {
		t.Errorf("the connection is not closed, but has %q, %v", rest, err)
	}
}

// post is an ordinary request.
func post(body string, fields ...string) string {
	lines := ""
	for _, f := range fields {
		lines += f + "\r\n"
	}
	return fmt.Sprintf("POST /logs HTTP/1.1\r\nHost: orders\r\n%sContent-Length: %d\r\n\r\n%s", lines, len(body), body)
}

// echo answers with what was sent.
func echo(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	fmt.Fprintf(w, "%s %s %q %v", r.Method, r.URL, body, err)
}

// waitFor waits until what is described is so.
func waitFor(t testing.TB, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !is(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

// ours reports whether a request is served here, and not by net/http.
func ours(w http.ResponseWriter) bool {
	_, is := w.(*response)
	return is
}

func within(t testing.TB, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), d)
	t.Cleanup(cancel)
	return ctx
}
