package httpapi

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

func TestAdmin(t *testing.T) {
	reg := prometheus.NewRegistry()
	reg.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "logpipeline_test_bytes"}, func() float64 { return 7 }))
	ready := func() error { return nil }
	notReady := func() error { return errors.New("draining") }
	tests := []struct {
		name, method, path string
		ready              func() error
		status             int
		body               string
	}{
		{"metrics", "GET", "/metrics", ready, 200, "logpipeline_test_bytes 7"},
		{"alive", "GET", "/healthz", ready, 200, "ok"},
		{"alive though not ready", "GET", "/healthz", notReady, 200, "ok"},
		{"ready", "GET", "/readyz", ready, 200, "ok"},
		{"not ready", "GET", "/readyz", notReady, 503, "draining"},
		{"a path of the intake", "POST", "/logs", ready, 404, "/readyz   whether it is ready, and why not\n  /signals  what it tells those who scale it, as JSON\nrecords go to :8080: POST /logs, or, as OTLP, POST /v1/logs; "},
		{"no path at all", "GET", "/", ready, 404, "there is nothing at this path of the admin address; there are\n  /metrics "},
		{"another method", "POST", "/healthz", ready, 405, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			server := httptest.NewServer(NewAdmin(reg, tt.ready, Directions(":8080")))
			defer server.Close()
			request, err := http.NewRequestWithContext(t.Context(), tt.method, server.URL+tt.path, nil)
			if err != nil {
				t.Fatal(err)
			}
			response, err := server.Client().Do(request)
			if err != nil {
				t.Fatal(err)
			}
			got := readAnswer(t, response)
			if got.status != tt.status || !strings.Contains(got.body, tt.body) {
				t.Errorf("got %d %s", got.status, got.body)
			}
		})
	}
}
