package load

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
)

func TestReadResponse(t *testing.T) {
	for name, tc := range map[string]struct {
		text string
		want response
		left string
		err  string
	}{
		"with a length":          {"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nokNEXT", response{200, false}, "NEXT", ""},
		"in chunks":              {"HTTP/1.1 202 Accepted\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\nNEXT", response{202, false}, "NEXT", ""},
		"without a body":         {"HTTP/1.1 204 No Content\r\n\r\nNEXT", response{204, false}, "NEXT", ""},
		"the server goes":        {"HTTP/1.1 503 Full\r\nConnection: close\r\nContent-Length: 0\r\n\r\n", response{503, true}, "", ""},
		"go on comes first":      {"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", response{200, false}, "", ""},
		"no end":                 {"HTTP/1.1 200 OK\r\n\r\n", response{200, false}, "", "neither Content-Length"},
		"not HTTP":               {"SSH-2.0\r\n", response{}, "", "status line"},
		"cut off in the header":  {"HTTP/1.1 200 OK\r\nContent-", response{}, "", "EOF"},
		"cut off within a chunk": {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nabc", response{200, false}, "", "EOF"},
	} {
		t.Run(name, func(t *testing.T) {
			reader := bufio.NewReader(strings.NewReader(tc.text))
			got, err := readResponse(reader)
			if got != tc.want || (err == nil) != (tc.err == "") || err != nil && !strings.Contains(err.Error(), tc.err) {
				t.Errorf("response %+v, %v; want %+v, %q", got, err, tc.want, tc.err)
			}
			if left, _ := io.ReadAll(reader); err == nil && string(left) != tc.left {
				t.Errorf("left %q, want %q", left, tc.left)
			}
		})
	}
}

func TestEveryRequestIsCounted(t *testing.T) {
	defer goleak.VerifyNone(t)
	var bodies, other atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil || string(body) != "body" || r.Header.Get("Content-Type") != "text/plain" {
			other.Add(1)
		}
		switch n := bodies.Add(1); {
		case n%10 == 0:
			w.WriteHeader(http.StatusServiceUnavailable)
		case n%25 == 1:
			w.WriteHeader(http.StatusInternalServerError)
		}
	}))
	defer server.Close()
	address := server.Listener.Addr().String()
	l := New(address, [][]byte{Render(address, "/logs", "text/plain", []byte("body"))}, Shape{Connections: 4, Patience: time.Minute})
	ctx, cancel := context.WithCancel(t.Context())
	stop := context.AfterFunc(ctx, func() {})
	defer stop()
	go func() {
		for bodies.Load() < 100 {
			time.Sleep(time.Millisecond)
		}
		cancel()
	}()
	l.Run(ctx)
	counts := l.Counts()
	if total := counts.Acknowledged + counts.Refused + counts.Failed; total != bodies.Load() || other.Load() != 0 {
		t.Errorf("%+v, but the server saw %d requests, %d of them wrong", counts, bodies.Load(), other.Load())
	}
	if counts.Refused != bodies.Load()/10 || counts.Failed == 0 || l.FirstFailure() == nil || len(l.Samples()) != int(counts.Acknowledged) {
		t.Errorf("%+v, %d samples, first failure %v", counts, len(l.Samples()), l.FirstFailure())
	}
}

func TestLatencyCountsFromWhenARequestWasDue(t *testing.T) {
	defer goleak.VerifyNone(t)
	const answer = 20 * time.Millisecond
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { time.Sleep(answer) }))
	defer server.Close()
	address := server.Listener.Addr().String()
	// One connection answers 50 requests a second at most; half of those due
	// each second are late, ever later.
	l := New(address, [][]byte{Render(address, "/", "text/plain", nil)}, Shape{Connections: 1, Rate: 100, Patience: time.Minute})
	began := time.Now()
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	l.Run(ctx)
	if latency := LatencyOf(l.Samples(), began, time.Now()); latency.Longest < 150*time.Millisecond {
		t.Errorf("%+v: the wait for the connection was not counted", latency)
	}
}

func TestLatencyOf(t *testing.T) {
	at := time.Unix(0, 0)
	samples := []Sample{{at.Add(-1), time.Hour}, {at.Add(100), time.Hour}}
	for i := range 100 {
		samples = append(samples, Sample{at.Add(time.Duration(i)), time.Duration(100 - i)})
	}
	want := Latency{Requests: 100, P50: 50, P99: 99, P999: 100, Longest: 100}
	if diff := cmp.Diff(want, LatencyOf(samples, at, at.Add(100))); diff != "" {
		t.Error(diff)
	}
	if got := LatencyOf(nil, at, at); got != (Latency{}) {
		t.Errorf("of no samples: %+v", got)
	}
}
