package httpapi

import (
	"fmt"
	"strings"
	"testing"

	"github.com/logpipeline/logpipeline/ingester/config"
)

// A client that sends everything before it looks finds the refusal of a body
// that nobody decompresses, small or larger than what is buffered on the way.
func TestEarlyRefusalOfCompressedBodies(t *testing.T) {
	const limit = 8 << 20
	in := start(t, func(o *Options, q *producerQueue) {
		o.Limits.MaxBodyBytes = config.Bytes(limit)
		q.maxBytes = 8 * limit
	})
	tests := []struct {
		name, encoding string
		size           int
		status         int
		goesOn         bool
	}{
		{"unknown coding, small", "br", 100 << 10, 415, true},
		{"unknown coding, large", "br", limit, 415, false},
		{"two codings, large", "gzip, zstd", limit, 415, false},
		{"larger than the limit, compressed", "gzip", limit + 300<<10, 413, false},
		{"no gzip, and small", "gzip", 100 << 10, 400, true},
		{"no zstd, and large", "zstd", limit, 400, true}, // it had to be read
	}
	for _, tt := range tests {
		body := strings.Repeat("x", tt.size)
		encoding := "Content-Encoding: " + tt.encoding
		for how, request := range map[string]string{
			"declared": head(encoding, fmt.Sprintf("Content-Length: %d", len(body))) + body,
			"chunked":  head(encoding, "Transfer-Encoding: chunked") + chunk(body) + chunk(""),
		} {
			t.Run(tt.name+", "+how, func(t *testing.T) {
				w := in.dial(t)
				w.write(t, request)
				got := w.answer(t)
				if got.status != tt.status {
					t.Fatalf("got %d %s, want %d", got.status, got.body, tt.status)
				}
				if goesOn := got.header.Get("Connection") != "close"; goesOn != tt.goesOn {
					t.Fatalf("the connection goes on: %v, want %v", goesOn, tt.goesOn)
				}
				if !tt.goesOn {
					if !w.closed(t) {
						t.Error("the connection ended with a reset")
					}
					return
				}
				w.write(t, head("Content-Length: 2")+`{}`)
				if got := w.answer(t); got.status != 200 {
					t.Errorf("the next request got %d %s", got.status, got.body)
				}
			})
		}
	}
}

// Nobody is asked to send a body that is not admitted, compressed or not.
func TestExpectContinueOfCompressedBodies(t *testing.T) {
	body := string(compressed(t, gzipped, `[{"a":1},{"a":2}]`))
	length := fmt.Sprintf("Content-Length: %d", len(body))
	t.Run("admitted", func(t *testing.T) {
		in := start(t, nil)
		w := in.dial(t)
		w.write(t, head("Content-Encoding: gzip", length, "Expect: 100-continue"))
		if got := w.answer(t); got.status != 100 {
			t.Fatal(got)
		}
		w.write(t, body)
		if got := w.answer(t); got.status != 200 || len(in.queue.records) != 2 {
			t.Errorf("got %d %s, and %d records", got.status, got.body, len(in.queue.records))
		}
	})
	for name, refused := range map[string]struct {
		fields []string
		change func(*Options, *producerQueue)
		status int
	}{
		"unknown coding": {[]string{"Content-Encoding: br", length}, nil, 415},
		"too large":      {[]string{"Content-Encoding: gzip", fmt.Sprintf("Content-Length: %d", testBodyBytes+1)}, nil, 413},
		"queue full":     {[]string{"Content-Encoding: gzip", length}, func(_ *Options, q *producerQueue) { q.maxBytes, q.reserved = 1<<20, 1<<20 }, 429},
		"full, chunked":  {[]string{"Content-Encoding: gzip", "Transfer-Encoding: chunked"}, func(_ *Options, q *producerQueue) { q.maxBytes, q.reserved = 1<<20, 1<<20 }, 429},
	} {
		t.Run(name, func(t *testing.T) {
			in := start(t, refused.change)
			w := in.dial(t)
			w.write(t, head(append(refused.fields, "Expect: 100-continue")...))
			if got := w.answer(t); got.status != refused.status || got.header.Get("Connection") != "close" || !w.closed(t) {
				t.Errorf("got %d %s", got.status, got.body)
			}
			in.queue.mu.Lock()
			defer in.queue.mu.Unlock()
			if refused.status == 429 {
				in.queue.reserved -= 1 << 20
			}
		})
	}
}
