package httpapi

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/logpipeline/logpipeline/ingester/config"
	"github.com/logpipeline/logpipeline/ingester/record"
)

// instantQueue delivers a batch as soon as it is put.
type instantQueue struct{ placements []record.Placement }

func (q *instantQueue) NewAccount() record.Account     { return q }
func (q *instantQueue) MaxBytes() int64                { return 1 << 30 }
func (q *instantQueue) RetryAfter(int64) time.Duration { return time.Second }
func (q *instantQueue) Reserve(int64) error            { return nil }
func (q *instantQueue) Cancel(int64)                   {}
func (q *instantQueue) Release(int64)                  {}
func (q *instantQueue) Put(b *record.Batch) error {
	b.Complete(record.Outcome{Placements: q.placements})
	b.Free()
	return nil
}

// discard is a response that nobody reads.
type discard struct{ header http.Header }

func (d *discard) Header() http.Header             { return d.header }
func (d *discard) Write(p []byte) (int, error)     { return len(p), nil }
func (d *discard) WriteHeader(int)                 {}
func (d *discard) SetReadDeadline(time.Time) error { return nil }

// rewound is a body that can be read again.
type rewound struct{ bytes.Reader }

func (*rewound) Close() error { return nil }

// hundredRecords is a body of 100 records of about 255 bytes.
func hundredRecords() []byte {
	body := []byte{'['}
	for i := range 100 {
		body = fmt.Appendf(body, `{"timestamp":"2026-03-01T12:00:%02d.%06dZ","level":"info","service":"checkout","host":"node-%02d","trace":"4bf92f3577b34da6a3ce929d0e0e%04x","status":%d,"duration_ms":%d.25,"message":"GET /api/v1/carts/%05d/items finished: \"ok\", 3 items, cache warm","retry":false},`,
			i%60, i*7919%1000000, i%32, i, 200+i%4, i%90+10, i)
	}
	return append(body[:len(body)-1], ']')
}

// BenchmarkPost measures what the handler itself takes for a request, without
// net/http, the network, the queue and Kafka.
func BenchmarkPost(b *testing.B) {
	body := hundredRecords()
	for _, acknowledge := range []config.Acknowledge{config.AcknowledgeProduced, config.AcknowledgeQueued} {
		for _, key := range []string{"", "with a key"} {
			b.Run(string(acknowledge)+key, func(b *testing.B) {
				serve := postOf(body, acknowledge, key != "")
				b.SetBytes(int64(len(body)))
				b.ReportAllocs()
				for b.Loop() {
					serve()
				}
			})
		}
	}
}

// postOf returns a function that has the handler serve one request.
func postOf(body []byte, acknowledge config.Acknowledge, withKey bool) func() {
	options := Options{Instance: "orders-ingester-0", Acknowledge: acknowledge, Limits: config.Default().RequestLimits}
	queue := &instantQueue{[]record.Placement{{Topic: "logs", Partition: 3, FirstOffset: 10, LastOffset: 109}}}
	handler := New(options, queue, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	reader := &rewound{}
	r := &http.Request{
		Method: http.MethodPost, URL: &url.URL{Path: "/logs"}, ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{"Content-Type": {"application/json"}}, Body: reader, ContentLength: int64(len(body)),
	}
	w := &discard{header: http.Header{}}
	n := 0
	return func() {
		reader.Reset(body)
		if withKey {
			n++
			r.Header["Idempotency-Key"] = []string{fmt.Sprint(n)}
		}
		handler.ServeHTTP(w, r)
	}
}

// A request costs a fixed number of allocations, whatever the number of its
// records: the batch, together with its id and what hears its outcome.
func TestAllocationsOfARequest(t *testing.T) {
	const most = 1 + pooledAllocations
	serve := postOf(hundredRecords(), config.AcknowledgeProduced, false)
	if n := testing.AllocsPerRun(200, serve); n > most {
		t.Errorf("%v allocations, want at most %d", n, most)
	}
}
