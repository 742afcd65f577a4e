package httpapi

import (
	"context"
	"errors"
	"github.com/logpipeline/logpipeline/ingester/http1"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/logpipeline/logpipeline/ingester/config"
	"github.com/logpipeline/logpipeline/ingester/record"
)

// accounts is a queue that counts the accounts that are opened, and so the
// connections.
type accounts struct {
	producerQueue
	opened atomic.Int64
}

func newAccounts() *accounts {
	return &accounts{producerQueue: producerQueue{maxBytes: 8 * testQueueBytes, complete: deliver}}
}

func (q *accounts) NewAccount() record.Account {
	q.opened.Add(1)
	return q.producerQueue.NewAccount()
}

// pod is a server that a test starts and stops by itself.
type pod struct {
	*http1.Server
	handler  *Handler
	address  string
	listener net.Listener
	serving  sync.WaitGroup
}

// startPod serves what comes to listener, or to a port of its own where that is
// nil, until the test ends.
func startPod(t *testing.T, queue Queue, listener net.Listener, changes ...func(*Options)) *pod {
	t.Helper()
	options := Options{Limits: config.RequestLimits{MaxBodyBytes: 1 << 20, MaxRecordBytes: 1 << 10, MaxDepth: 4}}
	for _, change := range changes {
		change(&options)
	}
	logger := slog.New(slog.DiscardHandler)
	handler := New(options, queue, logger, prometheus.NewRegistry())
	p := &pod{Server: http1.New(NewServer(handler, logger)), handler: handler}
	if listener == nil {
		var err error
		if listener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
			t.Fatal(err)
		}
	}
	p.address, p.listener = listener.Addr().String(), listener
	p.serving.Go(func() { _ = p.Serve(listener) })
	t.Cleanup(func() { p.stop(t) })
	return p
}

func (p *pod) stop(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), time.Minute)
	defer cancel()
	if err := p.Shutdown(ctx); err != nil {
		t.Errorf("shut down: %v", err)
	}
	p.serving.Wait()
}

// post sends body to the address, perhaps with a query, and returns what is
// answered.
func post(ctx context.Context, client *http.Client, address, body string, query ...string) (status int, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, address+"/logs"+strings.Join(query, ""), strings.NewReader(body))
	if err != nil {
		return 0, err
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := client.Do(request)
	if err != nil {
		return 0, err
	}
	_, err = io.Copy(io.Discard, response.Body) // so that the connection is used again
	return response.StatusCode, errors.Join(err, response.Body.Close())
}

func TestEachConnectionHasItsAccount(t *testing.T) {
	q := newAccounts()
	p := startPod(t, q, nil)
	for range 3 {
		client := &http.Client{Transport: &http.Transport{}}
		for range 3 {
			if status, err := post(t.Context(), client, "http://"+p.address, `{}`); status != 200 || err != nil {
				t.Fatal(status, err)
			}
		}
		client.CloseIdleConnections()
	}
	if n := q.opened.Load(); n != 3 {
		t.Errorf("%d accounts were opened for 3 connections", n)
	}
}

func TestSurplusConnectionsWaitToBeAccepted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inner := &pipes{make(chan net.Conn, 4), make(chan struct{})}
		for range 4 {
			client, server := net.Pipe()
			defer client.Close()
			inner.connections <- server
		}
		listener := Limit(inner, 2, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
		accepted := make(chan net.Conn, 4)
		go func() {
			defer close(accepted)
			for {
				c, err := listener.Accept()
				if err != nil {
					return
				}
				accepted <- c
			}
		}()
		synctest.Wait()
		if len(accepted) != 2 {
			t.Fatalf("%d connections were accepted, want 2", len(accepted))
		}
		first := <-accepted
		first.Close()
		first.Close() // makes room for one only
		synctest.Wait()
		if len(accepted) != 2 {
			t.Errorf("%d connections were accepted beside one that is closed, want 2", len(accepted))
		}
		listener.Close() // while Accept waits for room
		for c := range accepted {
			c.Close()
		}
	})
}

// More clients than connections all get their turn, and what net/http does to
// end a connection well still works on one that is counted.
func TestMoreClientsThanConnections(t *testing.T) {
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := startPod(t, newAccounts(), Limit(inner, 3, slog.New(slog.DiscardHandler), prometheus.NewRegistry()))
	var posting sync.WaitGroup
	for range 10 {
		posting.Go(func() {
			client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
			for range 5 {
				if status, err := post(t.Context(), client, "http://"+p.address, `{}`); status != 200 || err != nil {
					t.Error(status, err)
				}
				if status, err := post(t.Context(), client, "http://"+p.address, arrayOf(1<<20+1000)); status != 413 || err != nil {
					t.Error(status, err)
				}
			}
		})
	}
	posting.Wait()
}
