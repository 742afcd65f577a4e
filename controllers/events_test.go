package controllers

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"strings"
	"testing"

	"github.com/go-logr/logr"
	"github.com/google/go-cmp/cmp"
	"k8s.io/client-go/tools/events"
)

// What people are told of a pipeline, the log tells in one line.
func TestEventsAreLogged(t *testing.T) {
	var log bytes.Buffer
	sent := events.NewFakeRecorder(1)
	recorder := loggedEvents{sent, logr.FromSlogHandler(slog.NewJSONHandler(&log, nil))}
	p := newPipeline("logs", nil)
	long := strings.Repeat("ä", noteLimit)
	recorder.Eventf(p, nil, "Warning", "TopicTaken", "Reconcile", "%s", long)
	var line map[string]any
	if err := json.Unmarshal(log.Bytes(), &line); err != nil {
		t.Fatal(err)
	}
	delete(line, "time")
	want := map[string]any{"level": "INFO", "msg": long, "namespace": "logs", "name": "orders", "reason": "TopicTaken", "type": "Warning"}
	if diff := cmp.Diff(want, line); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	if got, want := <-sent.Events, "Warning TopicTaken "+long[:noteLimit]; got != want {
		t.Errorf("sent %q", got)
	}
}
