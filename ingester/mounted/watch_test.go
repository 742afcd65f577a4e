package mounted

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

func TestChangesThatConcernTheFiles(t *testing.T) {
	w := &Watcher{sources: []*source{
		{paths: []string{"/etc/tls/tls.crt", "/etc/tls//tls.key"}},
		{paths: []string{"/etc/tokens/"}},
		{paths: []string{"relative.crt"}},
	}}
	for changed, want := range map[string]bool{
		"/etc/tls/tls.crt":      true,
		"/etc/tls/tls.key":      true,
		"/etc/tls/..data":       true,
		"/etc/tls":              true,
		"/etc/tls/ingester.log": false,
		"/etc/tls/..data_tmp":   false,
		"/etc/tls/tls.crt.old":  false,
		"/etc/tokens/shipper":   true,
		"/etc/tokens/..data":    true,
		"/etc/tokens":           true,
		"./relative.crt":        true,
		"./ingester.log":        false,
	} {
		if got := w.concerns(changed); got != want {
			t.Errorf("concerns(%q) = %v", changed, got)
		}
	}
}

func TestFailureIsToldOfOnceAMinute(t *testing.T) {
	mount := newVolume(t, map[string]string{"a": "1"})
	var log bytes.Buffer
	w := New(slog.New(slog.NewTextHandler(&log, nil)), prometheus.NewPedanticRegistry())
	if _, err := Open(w, "test", join, mount.path("a")); err != nil {
		t.Fatal(err)
	}
	told := func() int { return strings.Count(log.String(), "it is bad") }
	mount.update(map[string]string{"a": "bad"})
	w.reload(t.Context())
	w.reload(t.Context())
	if failures := testutil.ToFloat64(w.metrics.failures.WithLabelValues("test")); told() != 1 || failures != 2 {
		t.Errorf("told of %d times after %v failures, want once after 2", told(), failures)
	}
	w.sources[0].told = w.sources[0].told.Add(-rereadInterval)
	w.reload(t.Context())
	if told() != 2 {
		t.Errorf("told of %d times a minute later, want twice", told())
	}
	mount.update(map[string]string{"a": "2"})
	w.reload(t.Context())
	mount.update(map[string]string{"a": "bad"})
	w.reload(t.Context())
	if told() != 3 {
		t.Errorf("told of %d times after good files, want 3 times", told())
	}
}
