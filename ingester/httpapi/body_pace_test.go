package httpapi

import (
	"bufio"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/net/http2"

	"github.com/logpipeline/logpipeline/ingester/config"
)

// pipes is a listener that hands out connections in memory, on which time can
// be made to pass.
type pipes struct {
	connections chan net.Conn
	closed      chan struct{}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.connections:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error   { close(p.closed); return nil }
func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipe", Net: "unix"} }

// countedConn counts how often its read deadline is set.
type countedConn struct {
	net.Conn
	deadlines atomic.Int64
}

func (c *countedConn) SetReadDeadline(t time.Time) error {
	c.deadlines.Add(1)
	return c.Conn.SetReadDeadline(t)
}

// slowClient is a connection to a server with a minimum rate of 1000 bytes a
// second, after 5 seconds, and at most 30 seconds for a body.
type slowClient struct {
	net.Conn
	server *countedConn
	answer chan answer
	ended  chan struct{} // closed when the server closes the connection
}

func newSlowClient(t *testing.T) slowClient {
	queue := &producerQueue{maxBytes: testQueueBytes, complete: deliver}
	options := Options{Limits: config.RequestLimits{MaxBodyBytes: testBodyBytes, MaxRecordBytes: 1 << 10, MaxDepth: 4, MinBodyBytesPerSecond: 1000, BodyTimeoutSeconds: 30}}
	logger := slog.New(slog.DiscardHandler)
	server := NewServer(New(options, queue, logger, prometheus.NewRegistry()), logger)
	listener := &pipes{make(chan net.Conn, 1), make(chan struct{})}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	client, serverSide := net.Pipe()
	c := slowClient{client, &countedConn{Conn: serverSide}, make(chan answer, 1), make(chan struct{})}
	listener.connections <- c.server
	go func() {
		defer close(c.ended)
		reader := bufio.NewReader(client)
		response, err := http.ReadResponse(reader, nil)
		if err != nil {
			c.answer <- answer{body: err.Error()}
		} else {
			body, _ := io.ReadAll(response.Body)
			c.answer <- answer{response.StatusCode, response.Header, string(body)}
		}
		_, _ = io.Copy(io.Discard, reader)
	}()
	t.Cleanup(func() {
		client.Close()
		server.Close()
		<-served
	})
	return c
}

// send writes pieces of the body, each after a pause, until the server has had
// enough.
func (c slowClient) send(pieces, bytes int, pause time.Duration) {
	for range pieces {
		time.Sleep(pause)
		if _, err := io.WriteString(c, strings.Repeat(" ", bytes)); err != nil {
			return
		}
	}
}

func TestBodiesHaveToKeepComing(t *testing.T) {
	const size = 100_000
	tests := []struct {
		name   string
		send   func(c slowClient)
		status int
		after  time.Duration // from the header on, to within a second; refusals of chunked bodies may come earlier
		detail string
	}{
		{
			name: "at once", status: 200, after: 0,
			send: func(c slowClient) { c.send(1, size-2, 0); io.WriteString(c, "{}") },
		},
		{
			name: "at four times the minimum rate", status: 200, after: 25 * time.Second,
			send: func(c slowClient) { c.send(250, size/250, 100*time.Millisecond) },
		},
		{
			name: "nothing at all", status: 408, after: 5 * time.Second,
			send:   func(c slowClient) {},
			detail: "bytes of the body came within 5.25s, but requestLimits.minBodyBytesPerSecond = 1000 after the first 5s",
		},
		{
			name: "at half the minimum rate", status: 408, after: 10 * time.Second,
			send:   func(c slowClient) { c.send(1000, 50, 100*time.Millisecond) },
			detail: "requestLimits.minBodyBytesPerSecond = 1000 after the first 5s",
		},
		{
			name: "half a second's worth every 400 milliseconds", status: 408, after: 30 * time.Second,
			send:   func(c slowClient) { c.send(1000, 500, 400*time.Millisecond) },
			detail: "came within requestLimits.bodyTimeoutSeconds = 30",
		},
		{
			name: "ten seconds' worth at once, and then nothing", status: 408, after: 15 * time.Second,
			send:   func(c slowClient) { c.send(1, 10_000, 0) },
			detail: "requestLimits.minBodyBytesPerSecond = 1000 after the first 5s",
		},
	}
	for _, tt := range tests {
		for _, coming := range []string{fmt.Sprintf("Content-Length: %d", size), "Transfer-Encoding: chunked"} {
			chunked := coming == "Transfer-Encoding: chunked"
			earliest := tt.after
			if chunked && tt.status == 408 {
				earliest = paceGrace
			}
			t.Run(tt.name+", "+coming, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					c := newSlowClient(t)
					began := time.Now()
					if _, err := io.WriteString(c, head(coming)); err != nil {
						t.Fatal(err)
					}
					if chunked {
						if _, err := fmt.Fprintf(c, "%x\r\n", size); err != nil {
							t.Fatal(err)
						}
					}
					sending := make(chan struct{})
					go func() {
						defer close(sending)
						tt.send(c)
						if chunked {
							io.WriteString(c, "\r\n0\r\n\r\n")
						}
					}()
					got := <-c.answer
					took := time.Since(began)
					// A body of nothing but white space is a 400, and was read.
					if status := got.status; status != tt.status && (tt.status != 200 || status != 400) {
						t.Errorf("got %d %s", got.status, got.body)
					}
					if took < earliest || took > tt.after+time.Second {
						t.Errorf("answered after %v, want %v", took, tt.after)
					}
					if !strings.Contains(got.body, tt.detail) {
						t.Errorf("got %s", got.body)
					}
					if most := 16 + int64(took/paceStep); c.server.deadlines.Load() > most {
						t.Errorf("the deadline was set %d times, want at most %d", c.server.deadlines.Load(), most)
					}
					c.Close()
					<-sending
				})
			})
		}
	}
}

// A connection that says nothing, or not enough, is not kept for ever.
func TestSilentConnectionsAreClosed(t *testing.T) {
	for name, silent := range map[string]struct {
		text  string
		after time.Duration
	}{
		"nothing at all":   {"", headerTimeout},
		"half a header":    {"POST /logs HTTP/1.1\r\nHost: ", headerTimeout},
		"one request":      {"GET /nowhere HTTP/1.1\r\nHost: logs\r\n\r\n", idleTimeout},
		"HTTP/2, idle":     {http2.ClientPreface + "\x00\x00\x00\x04\x00\x00\x00\x00\x00", idleTimeout},
		"HTTP/2, no more":  {http2.ClientPreface[:10], headerTimeout},
		"a body that ends": {head("Content-Length: 2") + "{}", idleTimeout},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newSlowClient(t)
				began := time.Now()
				if _, err := io.WriteString(c, silent.text); err != nil {
					t.Fatal(err)
				}
				<-c.ended
				if took := time.Since(began); took < silent.after || took > silent.after+time.Second {
					t.Errorf("closed after %v, want %v", took, silent.after)
				}
			})
		})
	}
}
