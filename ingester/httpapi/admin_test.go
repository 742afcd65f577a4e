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
		{"another path", "GET", "/logs", ready, 404, ""},
		{"another method", "POST", "/healthz", ready, 405, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			server := httptest.NewServer(NewAdmin(reg, tt.ready))
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
