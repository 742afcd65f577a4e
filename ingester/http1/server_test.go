package http1

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

func TestRequestsOfAConnection(t *testing.T) {
	in := start(t, func(w http.ResponseWriter, r *http.Request) {
		if !ours(w) {
			t.Error("net/http serves what is ordinary")
		}
		echo(w, r)
	})
	c := dial(t, in.address)
	for _, body := range []string{"{}", "", strings.Repeat("x", 100<<10), "{}", strings.Repeat("y", firstBytes)} {
		c.send(t, post(body))
		if got, want := c.answer(t), fmt.Sprintf(`POST /logs %q <nil>`, body); got.status != 200 || got.body != want || got.header.Get("Connection") != "" {
			t.Errorf("got %d %v %.80s, want %.80s", got.status, got.header, got.body, want)
		}
	}
}

// Requests that come before the last was answered are answered in order.
func TestPipelinedRequests(t *testing.T) {
	in := start(t, echo)
	c := dial(t, in.address)
	const n = 200
	var all strings.Builder
	for i := range n {
		// With the empty line of old clients after some.
		all.WriteString(post(strings.Repeat("z", i*7), fmt.Sprintf("X-I: %d", i)) + strings.Repeat("\r\n", i%2))
	}
	go func() { _, _ = io.WriteString(c, all.String()) }()
	for i := range n {
		if got, want := c.answer(t), fmt.Sprintf(`POST /logs %q <nil>`, strings.Repeat("z", i*7)); got.body != want {
			t.Fatalf("%d: got %v", i, got)
		}
	}
}

func TestRequestByteByByte(t *testing.T) {
	in := start(t, echo)
	c := dial(t, in.address)
	for range 2 {
		request := post("{}", "X-Long: "+strings.Repeat("x", 100))
		for i := range request {
			c.send(t, request[i:i+1])
		}
		if got := c.answer(t); got.body != `POST /logs "{}" <nil>` {
			t.Error(got)
		}
	}
}

// A head may be larger than the buffer, up to the bound.
func TestLargeHead(t *testing.T) {
	in := start(t, func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, ours(w), len(r.Header["X-Long"][0]))
	})
	c := dial(t, in.address)
	for _, size := range []int{5 << 10, 15 << 10, 10, 14 << 10} {
		c.send(t, post("{}", "X-Long: "+strings.Repeat("x", size)))
		if got, want := c.answer(t), fmt.Sprint(true, size); got.body != want {
			t.Errorf("got %v, want %s", got, want)
		}
	}
}

// The strings of a request are good after it, though its memory is used again.
func TestStringsOfARequestStay(t *testing.T) {
	type kept struct{ target, path, value, length string }
	var all []kept
	in := start(t, func(_ http.ResponseWriter, r *http.Request) {
		all = append(all, kept{r.RequestURI, r.URL.Path, r.Header.Get("X-I"), r.Header.Get("Content-Length")})
	})
	c := dial(t, in.address)
	for i := range 9 {
		request := strings.Replace(post(strings.Repeat("x", i), fmt.Sprintf("X-I: %d", i)), "/logs", fmt.Sprintf("/logs/%d", i), 1)
		c.send(t, request)
		c.answer(t)
	}
	for i, got := range all {
		if want := (kept{fmt.Sprintf("/logs/%d", i), fmt.Sprintf("/logs/%d", i), fmt.Sprint(i), fmt.Sprint(i)}); got != want {
			t.Errorf("got %v, want %v", got, want)
		}
	}
}

// What ConnContext says of a connection is asked for once, also where two
// servers serve it.
func TestContextOfAConnection(t *testing.T) {
	type key struct{}
	var asked atomic.Int32
	in := start(t, func(w http.ResponseWriter, r *http.Request) {
		server, _ := r.Context().Value(http.ServerContextKey).(*http.Server)
		local, _ := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
		fmt.Fprintln(w, r.Context().Value(key{}), server != nil, local, r.RemoteAddr, r.TLS == nil, r.Proto, r.ProtoMajor, r.ProtoMinor)
	}, func(s *http.Server) {
		s.ConnContext = func(ctx context.Context, _ net.Conn) context.Context {
			return context.WithValue(ctx, key{}, asked.Add(1))
		}
	})
	c := dial(t, in.address)
	want := fmt.Sprintln(1, true, c.RemoteAddr(), c.LocalAddr(), true, "HTTP/1.1", 1, 1)
	for _, request := range []string{post("{}"), post("{}"), "GET / HTTP/1.1\r\nHost: orders\r\n\r\n", post("{}")} {
		c.send(t, request)
		if got := c.answer(t); got.body != want {
			t.Errorf("got %s, want %s", got.body, want)
		}
	}
	if n := asked.Load(); n != 1 {
		t.Errorf("ConnContext was called %d times", n)
	}
}

// The other time-outs are far longer than any test may take.
func TestSlowHead(t *testing.T) {
	const timeout = 500 * time.Millisecond
	in := start(t, echo, func(s *http.Server) { s.ReadHeaderTimeout, s.IdleTimeout = timeout, time.Hour })
	for _, before := range []string{"", post("{}")} {
		began := time.Now()
		c := dial(t, in.address)
		if before != "" {
			c.send(t, before)
			c.answer(t)
			began = time.Now()
		}
		c.send(t, "POST /logs HTTP/1.1\r\nHo")
		c.closed(t)
		if waited := time.Since(began); waited < timeout/2 {
			t.Errorf("a head was waited for %v", waited)
		}
	}
}

func TestIdleConnectionIsClosed(t *testing.T) {
	const timeout = 500 * time.Millisecond
	in := start(t, echo, func(s *http.Server) { s.ReadHeaderTimeout, s.IdleTimeout = time.Hour, timeout })
	c := dial(t, in.address)
	began := time.Now()
	for range 3 {
		began = time.Now()
		c.send(t, post("{}"))
		c.answer(t)
	}
	c.closed(t)
	if waited := time.Since(began); waited < timeout/2 {
		t.Errorf("the connection was idle for %v", waited)
	}
}

// A handler's deadline for the body reaches neither before nor beyond it.
func TestSlowBody(t *testing.T) {
	in := start(t, func(w http.ResponseWriter, r *http.Request) {
		_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(200 * time.Millisecond))
		_, err := io.ReadAll(r.Body)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			w.Header().Set("Connection", "close")
			w.WriteHeader(http.StatusRequestTimeout)
			return
		}
		<-time.After(300 * time.Millisecond)
	})
	c := dial(t, in.address)
	for range 2 {
		c.send(t, post("{}"))
		if got := c.answer(t); got.status != 200 {
			t.Fatal(got)
		}
	}
	c.send(t, post(strings.Repeat("x", 10<<10))[:9<<10])
	if got := c.answer(t); got.status != 408 || got.header.Get("Connection") != "close" {
		t.Error(got)
	}
	c.closed(t)
}

// Without a deadline of the handler, that of ReadTimeout holds, and without
// that none, not even the one of the head before.
func TestReadTimeout(t *testing.T) {
	const head = 300 * time.Millisecond
	for _, tt := range []struct {
		name    string
		timeout time.Duration
		failed  bool
	}{{"none", 0, false}, {"short", 200 * time.Millisecond, true}} {
		t.Run(tt.name, func(t *testing.T) {
			read := make(chan error, 1)
			begun := make(chan struct{}, 1)
			in := start(t, func(_ http.ResponseWriter, r *http.Request) {
				begun <- struct{}{}
				_, err := io.ReadAll(r.Body)
				read <- err
			}, func(s *http.Server) {
				s.ReadHeaderTimeout, s.ReadTimeout = head, tt.timeout
			})
			c := sendHeadInTime(t, in, "POST /logs HTTP/1.1\r\nHost: orders\r\nContent-Length: 3\r\n\r\nx", begun)
			if !tt.failed {
				<-time.After(2 * head)
				c.send(t, "yz")
			}
			if err := <-read; errors.Is(err, os.ErrDeadlineExceeded) != tt.failed {
				t.Errorf("the body was read with %v", err)
			}
		})
	}
}

// sendHeadInTime tries until a head arrives within the time-out for heads, as
// it may not on a machine that is busy.
func sendHeadInTime(t *testing.T, in *servant, text string, begun <-chan struct{}) *client {
	t.Helper()
	for range 20 {
		c := dial(t, in.address)
		c.send(t, text)
		select {
		case <-begun:
			return c
		case <-time.After(time.Second):
		}
	}
	t.Fatal("no head came in time")
	return nil
}

func TestBodyThatBreaksOff(t *testing.T) {
	failed := make(chan error, 1)
	in := start(t, func(w http.ResponseWriter, r *http.Request) {
		_, err := io.ReadAll(r.Body)
		failed <- errors.Join(err, r.Context().Err())
		w.WriteHeader(http.StatusBadRequest)
	})
	c := dial(t, in.address)
	request := post("{}{}{}")
	c.send(t, request[:len(request)-1])
	_ = c.CloseWrite()
	if err := <-failed; !errors.Is(err, io.ErrUnexpectedEOF) || !errors.Is(err, context.Canceled) {
		t.Errorf("the body and the context ended with %v", err)
	}
	if got := c.answer(t); got.status != 400 || got.header.Get("Connection") != "close" {
		t.Error(got)
	}
	c.closed(t)
}

// A client that sends all of a body that nobody reads sees the answer, and no
// reset. A small rest is read, and the connection kept.
func TestUnreadBody(t *testing.T) {
	in := start(t, func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "no", http.StatusForbidden)
	})
	for _, tt := range []struct {
		size int
		kept bool
	}{{100, true}, {10 << 10, true}, {dropBytes, true}, {dropBytes + 1, false}, {8 << 20, false}} {
		c := dial(t, in.address)
		go func() { _, _ = io.WriteString(c, post(strings.Repeat("x", tt.size))) }()
		got := c.answer(t)
		if closes := got.header.Get("Connection") == "close"; got.status != 403 || closes == tt.kept {
			t.Errorf("%d bytes: got %v", tt.size, got)
		}
		if tt.kept {
			c.send(t, post("{}"))
			c.answer(t)
		} else {
			c.closed(t)
		}
	}
}

// The rest of the body can be read after the response has begun.
func TestFullDuplex(t *testing.T) {
	in := start(t, func(w http.ResponseWriter, r *http.Request) {
		control := http.NewResponseController(w)
		err := control.EnableFullDuplex()
		w.Header().Set("Content-Length", "6")
		_, _ = io.WriteString(w, "so ")
		err = errors.Join(err, control.Flush())
		_, failed := io.Copy(w, r.Body)
		if err = errors.Join(err, failed); err != nil {
			t.Error(err)
		}
	})
	c := dial(t, in.address)
	for range 2 {
		c.send(t, "POST /logs HTTP/1.1\r\nHost: orders\r\nContent-Length: 3\r\n\r\n")
		line := make([]byte, 4)
		for !strings.HasSuffix(string(line), "so ") {
			b, err := c.reader.ReadByte()
			if err != nil {
				t.Fatal(err)
			}
			line = append(line, b)
		}
		c.send(t, "far")
		rest := make([]byte, 3)
		if _, err := io.ReadFull(c.reader, rest); err != nil || string(rest) != "far" {
			t.Fatalf("got %q, %v", rest, err)
		}
	}
}

func TestClientLeavesWhileTheHandlerWaits(t *testing.T) {
	for name, leave := range map[string]func(*client) error{
		"closed":      (*client).Close,
		"half closed": (*client).CloseWrite,
		"reset": func(c *client) error {
			return errors.Join(c.tcp.SetLinger(0), c.Close())
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			waiting, left := make(chan struct{}), make(chan struct{})
			in := start(t, func(_ http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body)
				close(waiting)
				<-r.Context().Done()
				close(left)
			})
			c := dial(t, in.address)
			c.send(t, post("{}"))
			<-waiting
			select {
			case <-left:
				t.Error("the context ended while the client was there")
			case <-time.After(2*watchInterval + watchInterval/2):
			}
			if err := leave(c); err != nil {
				t.Fatal(err)
			}
			select {
			case <-left:
			case <-time.After(60 * watchInterval):
				t.Error("the client was not missed")
			}
		})
	}
}

func TestPanic(t *testing.T) {
	in := start(t, func(_ http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/silent" {
			panic(http.ErrAbortHandler)
		}
		panic("the handler's fault")
	})
	for _, path := range []string{"/silent", "/loud"} {
		c := dial(t, in.address)
		c.send(t, strings.Replace(post(""), "/logs", path, 1))
		c.closed(t)
		if said := strings.Contains(in.logged.String(), "the handler's fault"); said != (path == "/loud") {
			t.Errorf("%s: the log says %q", path, in.logged.String())
		}
	}
}

// A client that does not read its response does not hold a handler for ever.
func TestWriteTimeout(t *testing.T) {
	failed := make(chan error, 1)
	in := start(t, func(w http.ResponseWriter, _ *http.Request) {
		for {
			if _, err := w.Write(make([]byte, 1<<20)); err != nil {
				failed <- err
				return
			}
		}
	}, func(s *http.Server) { s.WriteTimeout = 300 * time.Millisecond })
	c := dial(t, in.address)
	c.send(t, post(""))
	if err := <-failed; !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error(err)
	}
}

// TLS is net/http's, as is everything of which the socket can't be had.
func TestConnectionsWithoutASocket(t *testing.T) {
	in := start(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, ours(w)) })
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- in.Serve(wrapping{listener}) }()
	c := dial(t, listener.Addr().String())
	c.send(t, post("{}"))
	if got := c.answer(t); got.body != "false" {
		t.Error(got)
	}
	if err := in.Close(); err != nil {
		t.Error(err)
	}
	if err := <-served; !errors.Is(err, http.ErrServerClosed) {
		t.Error(err)
	}
}

type wrapping struct{ net.Listener }

func (l wrapping) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	return struct{ net.Conn }{c}, err
}

// A listener that fails for a moment is tried again; one that is broken is not.
func TestAcceptFails(t *testing.T) {
	in := start(t, echo)
	broken := errors.New("broken")
	if err := in.Serve(&failing{errs: []error{&net.OpError{Op: "accept", Err: syscall.EMFILE}, syscall.ENFILE, broken}}); !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
	if said := in.logged.String(); strings.Count(said, "retrying") != 2 {
		t.Errorf("the log says %q", said)
	}
}

type failing struct {
	net.Listener
	errs []error
}

func (f *failing) Accept() (net.Conn, error) {
	err := f.errs[0]
	f.errs = f.errs[1:]
	return nil, err
}

func (f *failing) Close() error { return nil }
