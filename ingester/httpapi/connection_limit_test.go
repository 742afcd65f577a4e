package httpapi

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

// Clients that keep all connections open, but don't use them, lock nobody out,
// whichever server has their connections.
func TestIdleConnectionsMakeRoom(t *testing.T) {
	requests := map[string]string{
		"served by net/http":       "OPTIONS /logs HTTP/1.1\r\nHost: logs\r\n\r\n",
		"served by ingester/http1": head("Content-Length: 2") + `{}`,
	}
	for name, request := range requests {
		t.Run(name, func(t *testing.T) {
			const limit = 3
			listener, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			var logged bytes.Buffer // written by one goroutine, read when it is over
			reg := prometheus.NewPedanticRegistry()
			p := startPod(t, newAccounts(), Limit(listener, limit, slog.New(slog.NewTextHandler(&logged, nil)), reg))
			in := &intake{address: p.address}
			var open []*wire
			for range 2 * limit {
				w := in.dial(t)
				w.write(t, request)
				if got := w.answer(t); got.status/100 != 2 {
					t.Fatalf("got %d %s", got.status, got.body)
				}
				// So that the order in which they became idle is known.
				in.waitFor(t, "the connection to be idle", func() bool { return idleOf(p, w) })
				open = append(open, w)
			}
			for i, w := range open[:limit] {
				if _, err := w.reader.ReadByte(); err != io.EOF {
					t.Errorf("connection %d, idle for long, is not closed, but: %v", i, err)
				}
			}
			for i, w := range open[limit:] {
				w.write(t, request)
				if got := w.answer(t); got.status/100 != 2 {
					t.Errorf("connection %d, idle for a short time, got %d %s", i, got.status, got.body)
				}
			}
			const names = "logpipeline_ingester_connections"
			want := fmt.Sprintf("# HELP %[1]s Connections that are open.\n# TYPE %[1]s gauge\n%[1]s %[2]d\n", names, limit)
			if err := testutil.GatherAndCompare(reg, strings.NewReader(want), names); err != nil {
				t.Error(err)
			}
			p.stop(t)
			if n := strings.Count(logged.String(), "no room for another connection"); n != 1 {
				t.Errorf("that there is no room is logged %d times, want once", n)
			}
		})
	}
}

// idleOf reports whether the server knows that the client's connection is idle.
func idleOf(p *pod, w *wire) bool {
	l := p.listener.(*limitedListener)
	l.mu.Lock()
	defer l.mu.Unlock()
	for c := range l.conns {
		if c.RemoteAddr().String() == w.LocalAddr().String() {
			return c.idle.Load() > 0
		}
	}
	return false
}

// One that waits gets the place of the first that becomes idle.
func TestConnectionThatBecomesIdleMakesRoom(t *testing.T) {
	inner := &pipes{make(chan net.Conn, 2), make(chan struct{})}
	listener := Limit(inner, 1, slog.New(slog.DiscardHandler), prometheus.NewRegistry()).(*limitedListener)
	defer listener.Close()
	for range 2 {
		client, server := net.Pipe()
		defer client.Close()
		inner.connections <- server
	}
	first, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	second := make(chan net.Conn, 1)
	go func() {
		c, err := listener.Accept()
		if err != nil {
			t.Error(err)
		}
		second <- c
	}()
	for deadline := time.Now().Add(time.Minute); listener.waiting.Load() == 0 && time.Now().Before(deadline); time.Sleep(time.Millisecond) {
	}
	first.(*limitedConn).Rest()
	c := <-second
	if first.(*limitedConn).Resume() {
		t.Error("a connection that was closed is used again")
	}
	c.Close()
}
