package http1

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"testing"
	"time"
)

// held is a handler that waits to be let go.
func held() (handler http.HandlerFunc, holding, letGo chan struct{}) {
	holding, letGo = make(chan struct{}, 10), make(chan struct{})
	return func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		if r.URL.Path == "/wait" {
			holding <- struct{}{}
			select {
			case <-letGo:
			case <-r.Context().Done():
				w.WriteHeader(http.StatusGatewayTimeout)
			}
		}
	}, holding, letGo
}

const (
	waits          = "POST /wait HTTP/1.1\r\nHost: orders\r\nContent-Length: 2\r\n\r\n{}"
	waitsElsewhere = "POST /wait HTTP/1.1\r\nHost: orders\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
)

// shutDown begins to shut down, and returns once no connections are accepted.
func shutDown(t *testing.T, in *servant) chan error {
	result := make(chan error, 1)
	ctx := within(t, 20*time.Second)
	go func() { result <- in.Shutdown(ctx) }()
	<-in.leaving
	waitFor(t, "the listener to be closed", func() bool {
		c, err := net.Dial("tcp", in.address)
		if err == nil {
			_ = c.Close()
		}
		return err != nil
	})
	return result
}

func TestShutdown(t *testing.T) {
	handler, holding, letGo := held()
	in := start(t, handler)
	idleOne, idleElsewhere, busy, busyElsewhere, begun := dial(t, in.address), dial(t, in.address), dial(t, in.address), dial(t, in.address), dial(t, in.address)
	idleOne.send(t, post("{}"))
	idleOne.answer(t)
	idleElsewhere.send(t, "GET / HTTP/1.1\r\nHost: orders\r\n\r\n")
	idleElsewhere.answer(t)
	busy.send(t, waits+waits)
	busyElsewhere.send(t, waitsElsewhere)
	<-holding
	<-holding
	begun.send(t, waits[:20])
	waitFor(t, "the request to begin", func() bool {
		in.mu.Lock()
		defer in.mu.Unlock()
		n := 0
		for c := range in.conns {
			if c.state.Load() == active {
				n++
			}
		}
		return n == 2
	})

	result := shutDown(t, in)
	idleOne.closed(t)
	idleElsewhere.closed(t)
	begun.send(t, waits[20:])
	<-holding
	select {
	case err := <-result:
		t.Fatalf("shut down (%v) while requests run", err)
	default:
	}
	close(letGo)
	for name, c := range map[string]*client{"busy": busy, "busy elsewhere": busyElsewhere, "begun": begun} {
		if got := c.answer(t); got.status != 200 || got.header.Get("Connection") != "close" {
			t.Errorf("%s: got %v", name, got)
		}
		c.closed(t)
	}
	if err := <-result; err != nil {
		t.Error(err)
	}
	if err := in.Serve(&failing{}); !errors.Is(err, http.ErrServerClosed) {
		t.Errorf("Serve: %v", err)
	}
}

// A connection that was just opened is given the time for its first request.
func TestShutdownWaitsForFirstRequests(t *testing.T) {
	t.Parallel()
	handler, _, _ := held()
	in := start(t, handler)
	late, silent := dial(t, in.address), dial(t, in.address)
	waitFor(t, "the connections", func() bool {
		in.mu.Lock()
		defer in.mu.Unlock()
		return len(in.conns) == 2
	})
	result := shutDown(t, in)
	late.send(t, post("{}"))
	if got := late.answer(t); got.status != 200 || got.header.Get("Connection") != "close" {
		t.Error(got)
	}
	silent.closed(t)
	if err := <-result; err != nil {
		t.Error(err)
	}
}

// Close ends what Shutdown's time was too short for.
func TestShutdownRunsOutOfTime(t *testing.T) {
	for name, request := range map[string]string{"ours": waits, "net/http's": waitsElsewhere} {
		t.Run(name, func(t *testing.T) {
			handler, holding, _ := held()
			in := start(t, handler)
			c := dial(t, in.address)
			c.send(t, request)
			<-holding
			if err := in.Shutdown(within(t, 50*time.Millisecond)); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("Shutdown: %v", err)
			}
			if err := in.Close(); err != nil {
				t.Errorf("Close: %v", err)
			}
			if got, err := c.tryAnswer(); err == nil {
				t.Errorf("got %v", got)
			}
		})
	}
}

func TestClosedBeforeItServes(t *testing.T) {
	s := New(&http.Server{})
	if err := errors.Join(s.Shutdown(t.Context()), s.Close()); err != nil {
		t.Error(err)
	}
}
