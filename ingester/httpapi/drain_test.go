package httpapi

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// shipper posts one request after the other, to whichever pod stands behind the
// service when it needs a connection.
type shipper struct {
	client   *http.Client
	answered atomic.Int64
}

func newShipper(t *testing.T, version int, service *atomic.Pointer[string]) *shipper {
	s := &shipper{client: &http.Client{Transport: &http.Transport{}, Timeout: time.Minute}}
	if version == 2 {
		s.client = http2Client(t)
	}
	s.client.Transport.(*http.Transport).DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "tcp", *service.Load())
	}
	return s
}

// ship goes on until it is told to stop, or fails.
func (s *shipper) ship(t *testing.T, stop <-chan struct{}) {
	defer s.client.CloseIdleConnections()
	for {
		select {
		case <-stop:
			return
		default:
		}
		if status, err := post(t.Context(), s.client, "http://orders", `[{},{}]`); status != 200 || err != nil {
			t.Errorf("got %d, %v", status, err)
			return
		}
		s.answered.Add(1)
	}
}

// awaitMore waits until each shipper has had n more answers.
func awaitMore(t *testing.T, shippers []*shipper, n int64) {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for _, s := range shippers {
		for before := s.answered.Load(); s.answered.Load() < before+n; time.Sleep(time.Millisecond) {
			if t.Failed() || time.Now().After(deadline) {
				t.Error("no more requests are answered")
				return
			}
		}
	}
}

// Pods come and go under clients that keep their connections, as in a rolling
// restart: new connections go to the new pod, the old one asks its clients to
// leave for a while, and is then shut down. No request fails.
func TestRollingRestartFailsNoRequest(t *testing.T) {
	for _, version := range []int{1, 2} {
		t.Run(fmt.Sprintf("HTTP/%d", version), func(t *testing.T) {
			const restarts = 6
			q := newAccounts()
			current := startPod(t, q, nil)
			var service atomic.Pointer[string] // the address behind it
			service.Store(&current.address)
			var shipping sync.WaitGroup
			stop := make(chan struct{})
			shippers := make([]*shipper, 4)
			for i := range shippers {
				shippers[i] = newShipper(t, version, &service)
				shipping.Go(func() { shippers[i].ship(t, stop) })
			}
			for range restarts {
				awaitMore(t, shippers, 20)
				old := current
				current = startPod(t, q, nil)
				service.Store(&current.address)
				old.handler.Drain()
				awaitMore(t, shippers, 20) // in the drain delay
				old.stop(t)
			}
			awaitMore(t, shippers, 20)
			close(stop)
			shipping.Wait()
			q.producing.Wait()
			answered := int64(0)
			for _, s := range shippers {
				answered += s.answered.Load()
			}
			if n := int64(len(q.records)); n != 2*answered {
				t.Errorf("%d records were taken, but %d acknowledged", n, 2*answered)
			}
			// All but those of the last pod were left for another, and none
			// after each request.
			if opened := q.opened.Load(); opened < int64(len(shippers)*restarts) || opened > answered/2 {
				t.Errorf("%d connections were used by %d clients in %d restarts", opened, len(shippers), restarts)
			}
		})
	}
}

// A connection that is idle when its server stops listening is closed, not
// left to a client that would send its next request into it.
func TestIdleConnectionsAreClosedAtTheEnd(t *testing.T) {
	p := startPod(t, newAccounts(), nil)
	in := &intake{address: p.address}
	w := in.dial(t)
	w.write(t, head("Content-Length: 2")+`{}`)
	if got := w.answer(t); got.status != 200 || got.header.Get("Connection") == "close" {
		t.Fatal(got)
	}
	p.handler.Drain()
	busy := in.dial(t)
	busy.write(t, head("Content-Length: 2")+`{}`)
	if got := busy.answer(t); got.status != 200 || got.header.Get("Connection") != "close" || !busy.closed(t) {
		t.Errorf("a client that sends during the drain is not asked to leave: %+v", got)
	}
	p.stop(t)
	if !w.closed(t) {
		t.Error("the idle connection was reset, or stays open")
	}
}
