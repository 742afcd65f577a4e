package httpapi

import (
	"testing"
)

func TestMethodsAndPaths(t *testing.T) {
	in := start(t, nil)
	id := in.post(t, `{}`).batchID(t)
	lookUp := "/logs/batches/" + id
	const (
		logsMethods   = "POST, OPTIONS"
		lookUpMethods = "GET, HEAD, OPTIONS"
	)
	tests := []struct {
		method, path string
		status       int
		allow        string
		problem      string
	}{
		{"GET", "/logs", 405, logsMethods, "method-not-allowed"},
		{"PUT", "/logs", 405, logsMethods, "method-not-allowed"},
		{"OPTIONS", "/logs", 204, logsMethods, ""},
		{"OPTIONS", "/v1/logs", 204, logsMethods, ""},
		{"GET", lookUp, 200, "", ""},
		{"POST", lookUp, 405, lookUpMethods, "method-not-allowed"},
		{"DELETE", lookUp, 405, lookUpMethods, "method-not-allowed"},
		{"OPTIONS", lookUp, 204, lookUpMethods, ""},
		{"GET", "/", 404, "", "not-found"},
		{"POST", "/logs/", 404, "", "not-found"},
		{"GET", "/logs/batches", 404, "", "not-found"},
		{"GET", "/logs/batches/", 404, "", "not-found"},
		{"OPTIONS", "/log", 404, "", "not-found"},
		{"GET", "/metrics", 404, "", "not-found"},
	}
	for _, tt := range tests {
		t.Run(tt.method+" "+tt.path, func(t *testing.T) {
			got := in.send(t, tt.method, tt.path, "")
			if got.status != tt.status || got.header.Get("Allow") != tt.allow {
				t.Errorf("got %d, Allow %q; want %d, %q", got.status, got.header.Get("Allow"), tt.status, tt.allow)
			}
			if tt.problem != "" && got.problem(t).Type != problemBase+tt.problem {
				t.Errorf("got %s", got.body)
			}
			if tt.status == 204 && got.body != "" {
				t.Errorf("got %q", got.body)
			}
		})
	}
	full, head := in.send(t, "GET", lookUp, ""), in.send(t, "HEAD", lookUp, "")
	if head.status != 200 || head.body != "" || head.header.Get("Content-Length") != full.header.Get("Content-Length") || head.header.Get("Content-Length") == "" {
		t.Errorf("HEAD: %d %v %q; GET: %v", head.status, head.header, head.body, full.header)
	}
	if got := in.send(t, "HEAD", "/logs", ""); got.status != 405 || got.header.Get("Allow") != logsMethods {
		t.Errorf("HEAD /logs: %d %v", got.status, got.header)
	}
}
