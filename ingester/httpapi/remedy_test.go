package httpapi

import (
	"fmt"
	"strings"
	"testing"
)

// Whoever sends the wrong thing is told which one it seems to be.
func TestRemedies(t *testing.T) {
	const json, lines = "application/json", "application/x-ndjson"
	in := start(t, nil)
	gzip := compressed(t, gzipped, `[{"a":1}]`)
	tests := []struct {
		name, contentType, encoding, body string
		want                              string
		record                            int // -1 for none
	}{
		{"lines as JSON", json, "", "{\"a\":1}\n{\"a\":2}\n", "sent as application/x-ndjson", 1},
		{"an array as lines", lines, "", `[{"a":1}]`, "an array is sent as application/json", 0},
		{"gzip without its header", json, "", string(gzip), "add Content-Encoding: gzip", 0},
		{"zstd without its header", lines, "", string(compressed(t, zstandard, `{}`)), "add Content-Encoding: zstd", 0},
		{"a byte order mark", json, "", "\xef\xbb\xbf{}", "leave it out", 0},
		{"UTF-16", json, "", "\xff\xfe{\x00}\x00", "looks like UTF-16", 0},
		{"UTF-16 without a mark", json, "", "{\x00}\x00", "looks like UTF-16", 0},
		{"white space", json, "", " \n ", "the body is white space only", -1},
		{"a leading zero", json, "", `{"a":01}`, "no leading zeros", 0},
		{"short text as gzip", json, "gzip", "{}", "does not begin as gzip does", -1},
		{"short text as zstd", json, "zstd", "{}", "does not begin as zstd does", -1},
		{"garbage behind gzip", json, "gzip", string(gzip) + "x", "1 bytes follow that are no gzip", -1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := in.send(t, "POST", "/logs", tt.body, "Content-Type", tt.contentType, "Content-Encoding", tt.encoding)
			p := got.problem(t)
			record := -1
			if p.Record != nil {
				record = *p.Record
			}
			if got.status != 400 || !strings.Contains(p.Detail, tt.want) || record != tt.record {
				t.Errorf("got %d %s, want %q and record %d", got.status, got.body, tt.want, tt.record)
			}
		})
	}
}

// A body whose length is not declared is not taken for the next request.
func TestUndeclaredLength(t *testing.T) {
	in := start(t, nil)
	w := in.dial(t)
	w.write(t, head()[:len(head())-2]+head("Content-Length: 2")+"{}")
	if got := w.answer(t); got.status != 411 || got.problem(t).Type != problemBase+"length-required" || !w.closed(t) {
		t.Errorf("got %d %s", got.status, got.body)
	}
	if len(in.queue.records) > 0 {
		t.Errorf("records were taken: %q", in.queue.records)
	}
}

func TestTwoContentTypes(t *testing.T) {
	w := start(t, nil).dial(t)
	w.write(t, head("Content-Type: application/x-ndjson", "Content-Length: 2")+"{}")
	if got := w.answer(t); got.status != 400 || got.problem(t).Type != problemBase+"repeated-header" {
		t.Errorf("got %d %s", got.status, got.body)
	}
}

// A query that can't be read is not taken for none: it may ask for more than is
// configured.
func TestMalformedQuery(t *testing.T) {
	in := start(t, func(o *Options, _ *producerQueue) { o.Acknowledge = "Queued" })
	for _, query := range []string{"ack=prod%zzuced", "x;ack=produced"} {
		w := in.dial(t)
		w.write(t, fmt.Sprintf("POST /logs?%s HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}", query))
		if got := w.answer(t); got.status != 400 || got.problem(t).Type != problemBase+"malformed-query" {
			t.Errorf("%s: got %d %s", query, got.status, got.body)
		}
	}
}
