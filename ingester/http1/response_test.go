package http1

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// What a handler does, and net/http makes a response of, becomes the same
// response here.
func TestResponsesAreThoseOfNetHTTP(t *testing.T) {
	tests := []struct {
		name   string
		handle http.HandlerFunc
	}{
		{"nothing", func(http.ResponseWriter, *http.Request) {}},
		{"a status", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) }},
		{"a status without a name", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(599) }},
		{"a text", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "text") }},
		{"an HTML text", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>") }},
		{"an empty text", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(nil) }},
		{"a typed text", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			fmt.Fprint(w, "{}")
		}},
		{"without a type", func(w http.ResponseWriter, _ *http.Request) {
			w.Header()["Content-Type"] = nil
			fmt.Fprint(w, "{}")
		}},
		{"an encoded text", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			fmt.Fprint(w, "{}")
		}},
		{"an error", func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", http.StatusBadRequest) }},
		{"pieces", func(w http.ResponseWriter, _ *http.Request) {
			for i := range 100 {
				fmt.Fprintln(w, i)
			}
		}},
		{"the most that is held back", func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write(make([]byte, textBytes))
		}},
		{"more than is held back", func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, "a")
			_, _ = w.Write(make([]byte, textBytes))
		}},
		{"much", func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write([]byte(strings.Repeat("much", 100<<10)))
			_, _ = io.WriteString(w, "more")
		}},
		{"much of a declared length", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "400000")
			_, _ = w.Write([]byte(strings.Repeat("much", 100_000)))
		}},
		{"flushed pieces", func(w http.ResponseWriter, _ *http.Request) {
			control := http.NewResponseController(w)
			for i := range 3 {
				fmt.Fprintln(w, i)
				_ = control.Flush()
			}
		}},
		{"flushed first", func(w http.ResponseWriter, _ *http.Request) {
			_ = http.NewResponseController(w).Flush()
			fmt.Fprint(w, "<html>")
		}},
		{"flushed with a length", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "4")
			w.(http.Flusher).Flush()
			fmt.Fprint(w, "text")
		}},
		{"less than declared", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "5")
			fmt.Fprint(w, "text")
		}},
		{"more than declared", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "3")
			fmt.Fprint(w, "tex")
			if _, err := fmt.Fprint(w, "t"); !errors.Is(err, http.ErrContentLength) {
				t.Errorf("writing too much is %v", err)
			}
		}},
		{"no content", func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusNoContent)
			if _, err := fmt.Fprint(w, "t"); !errors.Is(err, http.ErrBodyNotAllowed) {
				t.Errorf("writing a body is %v", err)
			}
		}},
		{"not modified", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/plain")
			w.Header().Set("Content-Length", "4")
			w.WriteHeader(http.StatusNotModified)
		}},
		{"fields", func(w http.ResponseWriter, _ *http.Request) {
			w.Header()["X-B"] = []string{" b ", "c"}
			w.Header()["X-A"] = []string{"a\r\nX-Injected: yes", "ü"}
			w.Header()["X C"] = []string{"no name"}
			w.Header()["x-small"] = []string{"s"}
			w.Header()["X-Nothing"] = nil
		}},
		{"a date", func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Date", "today") }},
		{"no date", func(w http.ResponseWriter, _ *http.Request) { w.Header()["Date"] = nil }},
		{"fields that are set too late", func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusOK)
			w.Header().Set("X-Late", "x")
			fmt.Fprint(w, "text")
		}},
		{"two statuses", func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusCreated)
			w.WriteHeader(http.StatusInternalServerError)
		}},
		{"Connection: close", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Connection", "close")
			fmt.Fprint(w, "bye")
		}},
		{"early hints", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Link", "</style.css>")
			w.WriteHeader(http.StatusEarlyHints)
			w.Header().Del("Link")
			fmt.Fprint(w, "text")
		}},
		{"a body that is read in part", func(w http.ResponseWriter, r *http.Request) {
			_, _ = r.Body.Read(make([]byte, 2))
			fmt.Fprint(w, "text")
		}},
		{"a body that is closed", func(w http.ResponseWriter, r *http.Request) {
			_ = r.Body.Close()
			_, err := r.Body.Read(make([]byte, 2))
			fmt.Fprint(w, err)
		}},
		{"a body that is read twice", func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.ReadAll(r.Body)
			n, err := r.Body.Read(make([]byte, 2))
			fmt.Fprint(w, n, err)
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			here := start(t, tt.handle)
			there := startNetHTTP(t, tt.handle)
			for _, size := range []int{0, 9, 300 << 10} {
				got, want := responses(t, here.address, size), responses(t, there, size)
				if !cmp.Equal(got, want) {
					t.Errorf("with a body of %d bytes: %s", size, cmp.Diff(want, got))
				}
			}
		})
	}
}

func startNetHTTP(t *testing.T, handler http.HandlerFunc) (address string) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second, ErrorLog: log.New(io.Discard, "", 0)}
	done := make(chan error, 1)
	go func() { done <- server.Serve(listener) }()
	t.Cleanup(func() { _ = server.Close(); <-done })
	return listener.Addr().String()
}

// seenResponse is what a client sees.
type seenResponse struct {
	Status   string
	Header   http.Header
	Length   int64
	Encoding []string
	Close    bool
	Body     string
	Failed   bool
}

// responses is what comes for two requests of one connection.
func responses(t *testing.T, address string, size int) (all []seenResponse) {
	c := dial(t, address)
	request := post(strings.Repeat("x", size))
	began := time.Now()
	for range 2 {
		if _, err := io.WriteString(c, request); err != nil {
			break
		}
		for again := true; again; {
			r, err := http.ReadResponse(c.reader, &http.Request{Method: http.MethodPost})
			if err != nil {
				return append(all, seenResponse{Failed: true})
			}
			body, err := io.ReadAll(r.Body)
			if date := r.Header.Get("Date"); date != "" && date != "today" {
				sent, wrong := http.ParseTime(date)
				if wrong != nil || sent.Before(began.Truncate(time.Second)) || sent.After(time.Now()) {
					t.Errorf("the date is %q", date)
				}
				r.Header.Set("Date", "now")
			}
			all = append(all, seenResponse{r.Status, r.Header, r.ContentLength, r.TransferEncoding, r.Close, string(body), err != nil})
			again = r.StatusCode < 200
		}
		if all[len(all)-1].Close {
			break
		}
	}
	return all
}

// The response goes to the socket in one piece.
func TestResponseIsOneWrite(t *testing.T) {
	var counted *countedConn
	in := start(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusOK)
		for range 10 {
			fmt.Fprint(w, "text ")
		}
	})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() {
		served <- in.Serve(acceptFunc{listener, func(c net.Conn) net.Conn {
			counted = &countedConn{TCPConn: c.(*net.TCPConn)}
			return counted
		}})
	}()
	c := dial(t, listener.Addr().String())
	for range 5 {
		c.send(t, post("{}"))
		c.answer(t)
	}
	if err := in.Close(); err != nil {
		t.Error(err)
	}
	<-served
	// The write deadline is set once, and that for reading as a request begins
	// to wait.
	if counted.writes != 5 || counted.writeDeadlines != 1 || counted.readDeadlines > 2 {
		t.Errorf("5 responses took %d writes, %d write deadlines and %d read deadlines", counted.writes, counted.writeDeadlines, counted.readDeadlines)
	}
}

type acceptFunc struct {
	net.Listener
	wrap func(net.Conn) net.Conn
}

func (l acceptFunc) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return l.wrap(c), nil
}

type countedConn struct {
	*net.TCPConn
	writes, writeDeadlines, readDeadlines int
}

func (c *countedConn) Write(p []byte) (int, error) {
	c.writes++
	return c.TCPConn.Write(p)
}

func (c *countedConn) SetWriteDeadline(t time.Time) error {
	c.writeDeadlines++
	return c.TCPConn.SetWriteDeadline(t)
}

func (c *countedConn) SetReadDeadline(t time.Time) error {
	c.readDeadlines++
	return c.TCPConn.SetReadDeadline(t)
}

// A steady client costs no allocation; a field that changes costs its value.
func TestSteadyClientCostsNoAllocation(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector's pools forget on purpose")
	}
	in := start(t, take)
	c := dial(t, in.address)
	answer := make([]byte, 4096)
	requests := make([][]byte, 2)
	for i := range requests {
		requests[i] = []byte(post(strings.Repeat("x", bodyBytes), "Content-Type: application/json", fmt.Sprintf("Idempotency-Key: %d", i)))
	}
	sent := 0
	exchange := func(changes int) func() {
		return func() {
			_, _ = c.Write(requests[sent*changes%2])
			sent++
			if n, err := c.Read(answer); err != nil || !bytes.HasSuffix(answer[:n], []byte("}\n")) {
				t.Errorf("got %q, %v", answer[:n], err)
			}
		}
	}
	exchange(0)()
	if n := testing.AllocsPerRun(1000, exchange(0)); n > 0 {
		t.Errorf("%v allocations a request", n)
	}
	if n := testing.AllocsPerRun(1000, exchange(1)); n > 1 {
		t.Errorf("%v allocations a request of which one field changes", n)
	}
}
