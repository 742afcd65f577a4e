package httpapi

import (
	"bufio"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"github.com/logpipeline/logpipeline/ingester/http1"
	"io"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/logpipeline/logpipeline/ingester/config"
)

// Who isn't known is refused before anything is reserved for his body, or read
// of it: a client that waits for "100 Continue" never gets it.
func TestUnknownClientIsRefusedBeforeItsBody(t *testing.T) {
	tokens := directory(t, map[string]string{"shipper": "t0ken"})
	in := start(t, func(o *Options, _ *producerQueue) {
		o.Authenticator = newAuthenticator(t, config.Authentication{BearerTokensDir: tokens})
	})
	post := func(token string) *http.Response {
		t.Helper()
		connection, err := net.Dial("tcp", in.address)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { connection.Close() })
		if err := connection.SetDeadline(time.Now().Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(connection, "POST /logs HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nContent-Length: 7\r\nExpect: 100-continue\r\n\r\n", token)
		response, err := http.ReadResponse(bufio.NewReader(connection), nil)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { response.Body.Close() })
		return response
	}

	response := post("wrong")
	var refusal struct{ Type string }
	if err := json.NewDecoder(response.Body).Decode(&refusal); err != nil {
		t.Fatal(err)
	}
	if response.StatusCode != http.StatusUnauthorized || refusal.Type != problemBase+unauthorized.name {
		t.Errorf("status %d, problem %q", response.StatusCode, refusal.Type)
	}
	if got, want := response.Header.Get("WWW-Authenticate"), `Bearer realm="logpipeline", error="invalid_token"`; got != want {
		t.Errorf("WWW-Authenticate is %q, want %q", got, want)
	}
	in.queue.mu.Lock()
	peak := in.queue.peak
	in.queue.mu.Unlock()
	if peak != 0 {
		t.Errorf("%d bytes were reserved", peak)
	}
	if response := post("t0ken"); response.StatusCode != http.StatusContinue {
		t.Errorf("with the right token: status %d, want 100", response.StatusCode)
	}
}

// The server of NewServer speaks HTTP/2 over a listener with ServerTLS.
func TestServerOverTLS(t *testing.T) {
	s := &secured{t: t, ca: newAuthority(t, "server CA"), dir: t.TempDir(), metrics: prometheus.NewPedanticRegistry()}
	s.swapPair(s.ca.server())
	secureBy, err := ServerTLS(config.TLS{CertFile: filepath.Join(s.dir, "tls.crt"), KeyFile: filepath.Join(s.dir, "tls.key")}, config.Authentication{}, newWatcher(), prometheus.NewPedanticRegistry())
	if err != nil {
		t.Fatal(err)
	}
	in := start(t, nil)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := http1.New(NewServer(in.handler, slog.New(slog.DiscardHandler)))
	var serving sync.WaitGroup
	serving.Go(func() {
		_ = server.Serve(tls.NewListener(Limit(listener, 4, slog.New(slog.DiscardHandler), prometheus.NewRegistry()), secureBy))
	})
	t.Cleanup(func() { server.Close(); serving.Wait() })

	client := s.client(nil, nil)
	response, err := client.Post("https://"+listener.Addr().String()+"/logs", "application/json", strings.NewReader(`{"a":1}`))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if _, err := io.Copy(io.Discard, response.Body); err != nil {
		t.Fatal(err)
	}
	if response.StatusCode != http.StatusOK || response.ProtoMajor != 2 {
		t.Errorf("status %d over %s, want 200 over HTTP/2.0", response.StatusCode, response.Proto)
	}
}
