package main

import (
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/logpipeline/logpipeline/bench/records"
	"github.com/segmentio/kafka-go"
	"github.com/twmb/franz-go/pkg/kfake"
)

func TestRecordsArrive(t *testing.T) {
	for name, want := range map[string]int{"file": 202, "handler": 202, "channel": 202, "checked": 200} {
		for _, codec := range []string{"none", "snappy"} {
			t.Run(name+" "+codec, func(t *testing.T) {
				s := settings{brokers: startBroker(t), topic: "logs", file: filepath.Join(t.TempDir(), "logs.ndjson"), compression: codec}
				d, err := designs[name](s)
				if err != nil {
					t.Fatal(err)
				}
				lines := records.Lines(1, 100)
				if status := post(t, d, "/logs", records.NDJSON(lines)); status != want {
					t.Fatalf("status %d, want %d", status, want)
				}
				var got [][]byte
				if name == "file" {
					got = readFile(t, s.file)
				} else {
					got = consume(t, s, len(lines))
				}
				if !sameRecords(got, lines) {
					t.Errorf("%d records arrived, and they are not the %d that were sent", len(got), len(lines))
				}
			})
		}
	}
}

func TestCheckedRefusesWhatIsNotJSON(t *testing.T) {
	d, err := newChecked(settings{brokers: startBroker(t), topic: "logs", compression: "none"})
	if err != nil {
		t.Fatal(err)
	}
	if status := post(t, d, "/logs", []byte("{}\n{\n")); status == http.StatusOK {
		t.Errorf("status %d", status)
	}
}

func TestCalledWrongly(t *testing.T) {
	for _, arguments := range [][]string{nil, {"nothing"}, {"handler", "--compression", "rar"}} {
		if err := run(arguments); err == nil {
			t.Errorf("baseline %q: no error", strings.Join(arguments, " "))
		}
	}
}

func startBroker(t *testing.T) string {
	t.Helper()
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(1, "logs"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	return cluster.ListenAddrs()[0]
}

func post(t *testing.T, d design, path string, body []byte) int {
	t.Helper()
	w := httptest.NewRecorder()
	d.ServeHTTP(w, httptest.NewRequest(http.MethodPost, path, bytes.NewReader(body)))
	return w.Code
}

func readFile(t *testing.T, path string) [][]byte {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return lines(content)
}

func consume(t *testing.T, s settings, n int) [][]byte {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	reader := kafka.NewReader(kafka.ReaderConfig{Brokers: []string{s.brokers}, Topic: s.topic, MaxWait: 100 * time.Millisecond})
	defer reader.Close()
	var got [][]byte
	for len(got) < n {
		m, err := reader.ReadMessage(ctx)
		if err != nil {
			t.Fatalf("after %d records: %v", len(got), err)
		}
		got = append(got, m.Value)
	}
	return got
}

func sameRecords(a, b [][]byte) bool {
	a, b = slices.SortedFunc(slices.Values(a), bytes.Compare), slices.SortedFunc(slices.Values(b), bytes.Compare)
	return slices.EqualFunc(a, b, bytes.Equal)
}
