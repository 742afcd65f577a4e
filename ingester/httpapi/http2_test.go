package httpapi

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"github.com/logpipeline/logpipeline/ingester/record"
)

// http2Client speaks HTTP/2 without asking first. It may open a second
// connection: net/http hands the first to a request before it can be found by
// the next.
func http2Client(t *testing.T) *http.Client {
	var protocols http.Protocols
	protocols.SetUnencryptedHTTP2(true)
	transport := &http.Transport{Protocols: &protocols, HTTP2: &http.HTTP2Config{StrictMaxConcurrentRequests: true}}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: time.Minute}
}

// http2ClientOfOne does so over one connection at a time.
func http2ClientOfOne(t *testing.T) *http.Client {
	transport := &http2.Transport{
		AllowHTTP: true,
		DialTLSContext: func(ctx context.Context, network, address string, _ *tls.Config) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, address)
		},
		StrictMaxConcurrentStreams: true,
	}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: time.Minute}
}

func TestHTTP2WithoutTLS(t *testing.T) {
	q := newAccounts()
	p := startPod(t, q, nil)
	client := http2ClientOfOne(t)
	for _, tt := range []struct {
		name, body string
		status     int
	}{
		{"small", `{}`, 200},
		{"of many frames", arrayOf(1 << 20), 200},
		{"malformed", `{`, 400},
		// Only their own stream ends, though the client has not sent all.
		{"too large", arrayOf(8 << 20), 413},
		{"after a refusal", `[{},{}]`, 200},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if status, err := post(t.Context(), client, "http://"+p.address, tt.body); status != tt.status || err != nil {
				t.Errorf("got %d, %v", status, err)
			}
		})
	}
	if n := q.opened.Load(); n != 1 {
		t.Errorf("%d connections were used, want 1", n)
	}
	client.CloseIdleConnections()
}

func TestHTTP2OverTLS(t *testing.T) {
	q := newAccounts()
	p := startPod(t, q, nil)
	server := httptest.NewUnstartedServer(nil)
	server.Config = NewServer(p.handler, p.handler.logger)
	server.EnableHTTP2 = true
	server.StartTLS()
	defer server.Close()
	version := 0
	inner := server.Config.Handler
	server.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		version = r.ProtoMajor
		inner.ServeHTTP(w, r)
	})
	roots := server.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs
	client := &http.Client{Transport: &http2.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}}
	for range 3 {
		if status, err := post(t.Context(), client, server.URL, `{}`); status != 200 || err != nil {
			t.Errorf("got %d, %v", status, err)
		}
	}
	if n := q.opened.Load(); n != 1 || version != 2 {
		t.Errorf("%d connections of HTTP/%d were used, want 1 of HTTP/2", n, version)
	}
	client.CloseIdleConnections()

	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, NextProtos: []string{"http/1.1"}}}
	defer transport.CloseIdleConnections()
	if status, err := post(t.Context(), &http.Client{Transport: transport}, server.URL, `{}`); status != 200 || err != nil || version != 1 {
		t.Errorf("got %d, %v with HTTP/%d, want HTTP/1.1", status, err, version)
	}
}

// Requests at once on one connection share its account.
func TestHTTP2RequestsAtOnce(t *testing.T) {
	const requests = maxStreams / 2
	held, letGo := make(chan struct{}, requests), make(chan struct{})
	q := newAccounts()
	p := startPod(t, q, nil)
	client := http2ClientOfOne(t)
	if status, err := post(t.Context(), client, "http://"+p.address, `{}`); status != 200 || err != nil {
		t.Fatal(status, err)
	}
	q.complete = func(b *record.Batch) record.Outcome {
		held <- struct{}{}
		<-letGo
		return deliver(b)
	}
	var posting sync.WaitGroup
	for range requests {
		posting.Go(func() {
			if status, err := post(t.Context(), client, "http://"+p.address, `{}`); status != 200 || err != nil {
				t.Error(status, err)
			}
		})
	}
	for range requests {
		<-held
	}
	close(letGo)
	posting.Wait()
	if n := q.opened.Load(); n != 1 {
		t.Errorf("%d connections were used, want 1", n)
	}
	client.CloseIdleConnections()
}

// What a connection may hold is told to the client, who would be cut off if it
// sent more.
func TestHTTP2ConnectionsAreBounded(t *testing.T) {
	p := startPod(t, newAccounts(), nil)
	w := (&intake{address: p.address}).dial(t)
	w.write(t, http2.ClientPreface)
	framer := http2.NewFramer(w, w.reader)
	if err := framer.WriteSettings(); err != nil {
		t.Fatal(err)
	}
	frame, err := framer.ReadFrame()
	settings, ok := frame.(*http2.SettingsFrame)
	if !ok {
		t.Fatalf("the first frame is %v, %v", frame, err)
	}
	for id, want := range map[http2.SettingID]uint32{
		http2.SettingMaxConcurrentStreams: maxStreams,
		http2.SettingInitialWindowSize:    receiveStreamBytes,
		http2.SettingMaxHeaderListSize:    maxHeaderBytes + 320, // net/http's allowance for what fields cost beside their text
	} {
		if got, _ := settings.Value(id); got != want {
			t.Errorf("%v is %d, want %d", id, got, want)
		}
	}
	for {
		frame, err := framer.ReadFrame()
		if err != nil {
			t.Fatal(err)
		}
		if update, ok := frame.(*http2.WindowUpdateFrame); ok && update.Increment > receiveConnectionBytes {
			t.Errorf("the window of the connection grows by %d bytes", update.Increment)
		}
		if settings, ok := frame.(*http2.SettingsFrame); ok && settings.IsAck() {
			return
		}
	}
}

func TestHTTP2SlowBody(t *testing.T) {
	p := startPod(t, newAccounts(), nil, func(o *Options) { o.Limits.BodyTimeoutSeconds = 1 })
	client := http2Client(t)
	body, sending := io.Pipe()
	defer sending.Close()
	go func() { _, _ = io.WriteString(sending, `[{"a":1},`) }()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+p.address+"/logs", body)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	got := readAnswer(t, response)
	if refusal := got.problem(t); got.status != 408 || !strings.HasPrefix(refusal.Detail, "9 bytes of the body came within requestLimits.bodyTimeoutSeconds = 1") {
		t.Errorf("got %d %s", got.status, got.body)
	}
	client.CloseIdleConnections()
}

// Nobody is asked for a body before it is admitted.
func TestHTTP2ExpectContinue(t *testing.T) {
	p := startPod(t, newAccounts(), nil)
	client := http2Client(t)
	client.Transport.(*http.Transport).ExpectContinueTimeout = time.Minute
	for size, status := range map[int]int{10_000: 200, 2 << 20: 413} {
		read := &countingReader{Reader: strings.NewReader(arrayOf(size))}
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+p.address+"/logs", read)
		if err != nil {
			t.Fatal(err)
		}
		request.ContentLength = int64(size)
		request.Header.Set("Content-Type", "application/json")
		request.Header.Set("Expect", "100-continue")
		response, err := client.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		if got := readAnswer(t, response); got.status != status {
			t.Errorf("%d bytes: got %d %s", size, got.status, got.body)
		}
		if status == 413 && read.read > 0 {
			t.Errorf("%d bytes of a refused body were asked for", read.read)
		}
	}
	client.CloseIdleConnections()
}

type countingReader struct {
	io.Reader
	read int
}

func (r *countingReader) Read(b []byte) (int, error) {
	n, err := r.Reader.Read(b)
	r.read += n
	return n, err
}

// A draining server tells a client of HTTP/2 to go, after its request.
func TestHTTP2ClientsLeaveADrainingServer(t *testing.T) {
	q := newAccounts()
	p := startPod(t, q, nil)
	client := http2ClientOfOne(t)
	for range 3 {
		if status, err := post(t.Context(), client, "http://"+p.address, `{}`); status != 200 || err != nil {
			t.Fatal(status, err)
		}
	}
	if n := q.opened.Load(); n != 1 {
		t.Fatalf("%d connections were used, want 1", n)
	}
	p.handler.Drain()
	for deadline := time.Now().Add(time.Minute); q.opened.Load() < 2 && time.Now().Before(deadline); {
		if status, err := post(context.WithoutCancel(t.Context()), client, "http://"+p.address, `{}`); status != 200 || err != nil {
			t.Fatal(status, err)
		}
	}
	if n := q.opened.Load(); n < 2 {
		t.Error("the client stays on its connection")
	}
	client.CloseIdleConnections()
}
