package httpapi

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/logpipeline/logpipeline/ingester/record"
)

func TestAcceptedRequests(t *testing.T) {
	tests := []struct {
		name    string
		headers []string
		body    string
		records []string
	}{
		{"array", []string{"Content-Type", "application/json"}, `[{"a":1},{"b":2}]`, []string{`{"a":1}`, `{"b":2}`}},
		{"one object", []string{"Content-Type", "application/json"}, "{\n\"a\": 1}", []string{`{"a":1}`}},
		{"lines", []string{"Content-Type", "application/x-ndjson"}, "{\"a\":1}\n{\"b\":2}\n", []string{`{"a":1}`, `{"b":2}`}},
		{"lines by another name", []string{"Content-Type", "application/json-lines"}, `{"a":1}`, []string{`{"a":1}`}},
		{"parameters", []string{"Content-Type", "Application/JSON; charset=UTF-8; profile=x"}, `{"a":1}`, []string{`{"a":1}`}},
		{"identity encoding", []string{"Content-Type", "application/json", "Content-Encoding", "Identity"}, `{"a":1}`, []string{`{"a":1}`}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			in := start(t, nil)
			got := in.send(t, "POST", "/logs", tt.body, tt.headers...)
			id := strings.Split(got.body, `"`)[3]
			want := fmt.Sprintf(`{"batch":%q,"acknowledgement":"Produced","durability":"replicas","survives":"everything that the topic survives","records":%d,"placements":[{"topic":"logs","partition":3,"firstOffset":10,"lastOffset":%d}]}`+"\n", id, len(tt.records), 9+len(tt.records))
			if got.status != 200 || got.body != want || got.header.Get("Content-Type") != "application/json" {
				t.Errorf("got %d %s, want %s", got.status, got.body, want)
			}
			name, found := strings.CutPrefix(id, testInstance+".")
			if parsed, err := uuid.Parse(name); !found || err != nil || parsed.Version() != 7 || parsed.Variant() != uuid.RFC4122 {
				t.Errorf("batch %q is not the instance and a UUID of version 7: %v", id, err)
			}
			if diff := cmp.Diff(tt.records, in.queue.records); diff != "" {
				t.Errorf("records (-want +got):\n%s", diff)
			}
		})
	}
}

func TestNoRecordsNeedNoKafka(t *testing.T) {
	in := start(t, func(_ *Options, q *producerQueue) {
		q.complete = func(*record.Batch) record.Outcome { t.Error("an empty batch was queued"); return record.Outcome{} }
	})
	got := in.post(t, " [ ] ")
	if got.status != 200 || !strings.HasSuffix(got.body, `"acknowledgement":"Produced","durability":"replicas","survives":"everything that the topic survives","records":0,"placements":[]}`+"\n") {
		t.Errorf("got %d %s", got.status, got.body)
	}
}

var ignoreUnexported = cmpopts.IgnoreUnexported(problem{})

func at[T any](v T) *T { return &v }

func TestRefusedRequests(t *testing.T) {
	const typesTaken = "; accepted are application/json (an array of objects, or one object), application/x-ndjson and application/json-lines (one object a line)"
	jsonType := []string{"Content-Type", "application/json"}
	outcome := func(o record.Outcome) func(*Options, *producerQueue) {
		return func(_ *Options, q *producerQueue) { q.complete = func(*record.Batch) record.Outcome { return o } }
	}
	tests := []struct {
		name    string
		change  func(*Options, *producerQueue)
		method  string
		path    string
		headers []string
		body    string
		want    problem
		header  http.Header // what has to be in the response, beside Content-Type
	}{
		{
			name: "malformed", headers: jsonType, body: `[{"a":1},{"a":}]`,
			want: problem{Type: "malformed-json", Status: 400, Title: "The body is not valid JSON", Detail: "expected a value, found '}'", Record: at(1), Offset: at(int64(14))},
		},
		{
			name: "not UTF-8", headers: jsonType, body: "{\"a\":\"\xff\"}",
			want: problem{Type: "invalid-utf8", Status: 400, Title: "The body is not valid UTF-8", Detail: "byte 0xff begins no UTF-8 character", Record: at(0), Offset: at(int64(6))},
		},
		{
			name: "not an object", headers: jsonType, body: `[1]`,
			want: problem{Type: "not-an-object", Status: 400, Title: "A record is not a JSON object", Detail: "a record is a JSON object, but this value begins with '1'", Record: at(0), Offset: at(int64(1))},
		},
		{
			name: "too deep", headers: jsonType, body: `{"a":[[[[]]]]}`,
			want: problem{Type: "nesting-too-deep", Status: 400, Title: "A record is nested too deeply", Detail: "objects and arrays are nested more than 4 deep (requestLimits.maxDepth)", Record: at(0), Offset: at(int64(8))},
		},
		{
			name: "no body", headers: jsonType,
			want: problem{Type: "no-records", Status: 400, Title: "The body holds no records", Detail: "the body is empty", Offset: at(int64(0))},
		},
		{
			name: "another path", path: "/log", headers: jsonType, body: `{}`,
			change: func(o *Options, _ *producerQueue) { o.AdminAddress = "127.0.0.1:9090" },
			want:   problem{Type: "not-found", Status: 404, Title: "There is nothing here", Detail: `there is nothing at "/log"; records go to POST /logs, or, as OTLP, to POST /v1/logs; metrics, health and signals are at "127.0.0.1:9090"`},
		},
		{
			name: "another method", method: "PUT", headers: jsonType, body: `{}`,
			want:   problem{Type: "method-not-allowed", Status: 405, Title: "The method is not allowed", Detail: `method is "PUT"; /logs takes POST, OPTIONS`},
			header: http.Header{"Allow": {"POST, OPTIONS"}},
		},
		{
			name: "declared body too large", headers: jsonType, body: arrayOf(testBodyBytes + 1),
			want: problem{Type: "body-too-large", Status: 413, Title: "The body is too large", Detail: "Content-Length is 262145 bytes, more than requestLimits.maxBodyBytes = 262144; send fewer records in a request"},
		},
		{
			name: "record too large", headers: jsonType, body: `[{},{"a":"` + strings.Repeat("x", 1<<10) + `"}]`,
			want: problem{Type: "record-too-large", Status: 413, Title: "A record is too large", Detail: "the record has 1032 bytes, more than the 1024 that are taken (requestLimits.maxRecordBytes)", Record: at(1), Offset: at(int64(4))},
		},
		{
			name: "record too large for the topic", headers: jsonType, body: `{}`,
			change: outcome(record.Outcome{Err: fmt.Errorf("topic %q: %w", "logs", record.ErrTooLarge)}),
			want:   problem{Type: "record-too-large", Status: 413, Title: "A record is too large", Detail: `Kafka refused a record of batch ID for its size: topic "logs": record is larger than the topic takes; none of its records is in Kafka; send smaller records, or raise max.message.bytes of the topic`, Batch: "ID"},
		},
		{
			name: "larger than the whole queue", headers: jsonType, body: arrayOf(2 << 10),
			change: func(_ *Options, q *producerQueue) { q.maxBytes = 1 << 10 },
			want:   problem{Type: "body-too-large", Status: 413, Title: "The body is too large", Detail: "reserve 2560 bytes: larger than the whole queue of 1024 bytes, which queue.maxBytes sets; send fewer records in a request"},
		},
		{
			name: "no media type", body: `{}`,
			want:   problem{Type: "unsupported-media-type", Status: 415, Title: "The media type is not supported", Detail: "Content-Type is missing" + typesTaken},
			header: http.Header{"Accept-Post": {acceptedTypes}},
		},
		{
			name: "what curl -d sends", headers: []string{"Content-Type", "application/x-www-form-urlencoded"}, body: `{}`,
			want: problem{Type: "unsupported-media-type", Status: 415, Title: "The media type is not supported", Detail: `Content-Type is "application/x-www-form-urlencoded", which curl -d sends unless it is told otherwise: add -H 'Content-Type: application/json', or for lines --data-binary and -H 'Content-Type: application/x-ndjson'` + typesTaken},
		},
		{
			name: "another media type", headers: []string{"Content-Type", "text/plain; charset=utf-8"}, body: `{}`,
			want: problem{Type: "unsupported-media-type", Status: 415, Title: "The media type is not supported", Detail: `Content-Type is "text/plain"` + typesTaken},
		},
		{
			name: "another charset", headers: []string{"Content-Type", "application/json; charset=latin1"}, body: `{}`,
			want: problem{Type: "unsupported-media-type", Status: 415, Title: "The media type is not supported", Detail: `charset is "latin1", but records are UTF-8` + typesTaken},
		},
		{
			name: "unreadable media type", headers: []string{"Content-Type", "application/json; charset"}, body: `{}`,
			want: problem{Type: "unsupported-media-type", Status: 415, Title: "The media type is not supported", Detail: `Content-Type "application/json; charset" is not readable (mime: invalid media parameter)` + typesTaken},
		},
		{
			name: "unknown coding", headers: append([]string{"Content-Encoding", "br"}, jsonType...), body: `{}`,
			want:   problem{Type: "unsupported-content-encoding", Status: 415, Title: "The content encoding is not supported", Detail: `Content-Encoding is "br"; accepted: ` + acceptedCodings},
			header: http.Header{"Accept-Encoding": {acceptedCodings}},
		},
		{
			name: "queue full", headers: jsonType, body: arrayOf(2 << 10),
			change: func(_ *Options, q *producerQueue) { q.maxBytes, q.reserved = 4<<10, 2<<10 },
			want:   problem{Type: "queue-full", Status: 429, Title: "The queue is full", Detail: "reserve 2560 bytes: queue is full; retry later"},
			header: http.Header{"Retry-After": {"2"}}, // 1.2 s, rounded up
		},
		{
			name: "queue full and Kafka away", headers: jsonType, body: arrayOf(2 << 10),
			change: func(o *Options, q *producerQueue) {
				q.maxBytes, q.reserved = 4<<10, 2<<10
				o.Unreachable = func() bool { return true }
			},
			want:   problem{Type: "kafka-unreachable", Status: 503, Title: "Kafka does not answer, and the queue is full", Detail: "Kafka does not answer, and reserve 2560 bytes: queue is full; retry later"},
			header: http.Header{"Retry-After": {"2"}},
		},
		{
			name: "queue broken", headers: jsonType, body: `{}`,
			change: func(_ *Options, q *producerQueue) { q.refuse = io.ErrClosedPipe },
			want:   problem{Type: "not-delivered", Status: 503, Title: "The records could not be delivered to Kafka", Detail: "batch ID was not delivered: io: read/write on closed pipe; records are not in Kafka; none of its records is in Kafka, they may be sent again", Batch: "ID"},
		},
		{
			name: "record too large for the topic, in the middle", headers: jsonType, body: `[{},{},{}]`,
			change: outcome(record.Outcome{Placements: []record.Placement{{Topic: "logs", FirstOffset: 5, LastOffset: 5}}, Err: &record.Fault{Record: 1, Err: record.ErrTooLarge}}),
			want: problem{Type: "record-too-large", Status: 413, Title: "A record is too large", Detail: "Kafka refused a record of batch ID for its size: record 1: record is larger than the topic takes; the placements name what is in Kafka of it, and sending that again doubles it; send smaller records, or raise max.message.bytes of the topic", Batch: "ID", Record: at(1),
				Placements: []record.Placement{{Topic: "logs", FirstOffset: 5, LastOffset: 5}}},
		},
		{
			name: "index of the records does not fit at present", headers: jsonType, body: "[" + strings.Repeat("{},", 500) + "{}]",
			change: func(_ *Options, q *producerQueue) { q.maxBytes, q.reserved = 8<<10, 5<<10 },
			want:   problem{Type: "queue-full", Status: 429, Title: "The queue is full", Detail: "reserve 1024 bytes: queue is full; retry later"},
		},
		{
			name: "index of the records never fits", headers: jsonType, body: "[" + strings.Repeat("{},", 500) + "{}]",
			change: func(_ *Options, q *producerQueue) { q.maxBytes = 3 << 10 },
			want:   problem{Type: "body-too-large", Status: 413, Title: "The body is too large", Detail: "reserve 1024 bytes beside 3072 for the same request: larger than the whole queue of 3072 bytes, which queue.maxBytes sets; send fewer records in a request"},
		},
		{
			name: "draining", headers: jsonType, body: `{}`,
			change: func(_ *Options, q *producerQueue) { q.closed = true },
			want:   problem{Type: "draining", Status: 503, Title: "The server is shutting down", Detail: "this server takes no more records; send them to another, or retry later"},
			header: http.Header{"Retry-After": {"1"}, "Connection": {"close"}},
		},
		{
			name: "not delivered", headers: jsonType, body: `{}`,
			change: outcome(record.Outcome{Err: fmt.Errorf("delivery timeout: %w", record.ErrNotDelivered)}),
			want:   problem{Type: "not-delivered", Status: 503, Title: "The records could not be delivered to Kafka", Detail: "batch ID was not delivered: delivery timeout: records are not in Kafka; none of its records is in Kafka, they may be sent again", Batch: "ID"},
			header: http.Header{"Retry-After": {"5"}},
		},
		{
			name: "delivered in part", headers: jsonType, body: `[{},{}]`,
			change: outcome(record.Outcome{Placements: []record.Placement{{Topic: "logs", FirstOffset: 5, LastOffset: 5}}, Err: record.ErrNotDelivered}),
			want: problem{Type: "not-delivered", Status: 503, Title: "The records could not be delivered to Kafka", Detail: "part of batch ID was not delivered: records are not in Kafka; the placements name what is in Kafka of it, and sending that again doubles it, the others may be sent again", Batch: "ID",
				Placements: []record.Placement{{Topic: "logs", FirstOffset: 5, LastOffset: 5}}},
		},
		{
			name: "outcome unknown", headers: jsonType, body: `{}`,
			change: outcome(record.Outcome{Err: fmt.Errorf("connection lost: %w", record.ErrOutcomeUnknown)}),
			want:   problem{Type: "outcome-unknown", Status: 504, Title: "It is not known whether the records are in Kafka", Detail: "batch ID may or may not be in Kafka: connection lost: outcome is unknown; sending the records again may double them", Batch: "ID"},
		},
		{
			name: "an outcome without a name is unknown", headers: jsonType, body: `{}`,
			change: outcome(record.Outcome{Err: io.ErrClosedPipe}),
			want:   problem{Type: "outcome-unknown", Status: 504, Title: "It is not known whether the records are in Kafka", Detail: "batch ID may or may not be in Kafka: io: read/write on closed pipe; sending the records again may double them", Batch: "ID"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			in := start(t, tt.change)
			before := in.queue.reserved
			method, path := tt.method, tt.path
			if method == "" {
				method = "POST"
			}
			if path == "" {
				path = "/logs"
			}
			answer := in.send(t, method, path, tt.body, tt.headers...)
			got := answer.problem(t)
			if got.Batch != "" {
				got.Detail, got.Batch = strings.ReplaceAll(got.Detail, got.Batch, "ID"), "ID"
			}
			name := tt.want.Type
			tt.want.Type = problemBase + name
			if diff := cmp.Diff(tt.want, got, ignoreUnexported); diff != "" || answer.status != tt.want.Status {
				t.Errorf("status %d, problem (-want +got):\n%s", answer.status, diff)
			}
			for field, values := range tt.header {
				if diff := cmp.Diff(values, answer.header[field]); diff != "" {
					t.Errorf("%s (-want +got):\n%s", field, diff)
				}
			}
			expectCounted(t, in, fmt.Sprint(tt.want.Status), name)
			in.queue.NewAccount().Release(before)
		})
	}
}

// expectCounted waits until the one request is counted: that follows its
// response.
func expectCounted(t *testing.T, in *intake, code, reason string) {
	t.Helper()
	in.waitFor(t, "status "+code+" and reason "+reason+" to be counted", func() bool {
		return testutil.ToFloat64(in.handler.metrics.requests.WithLabelValues(code)) == 1 &&
			testutil.ToFloat64(in.handler.metrics.refused.WithLabelValues(reason)) == 1
	})
}

func TestTooManyRequestsAtOnce(t *testing.T) {
	holding, letGo := make(chan struct{}), make(chan struct{})
	in := start(t, func(o *Options, q *producerQueue) {
		o.Limits.MaxInFlight = 1
		q.complete = func(b *record.Batch) record.Outcome { close(holding); <-letGo; return deliver(b) }
	})
	first := make(chan answer, 1)
	go func() { first <- in.post(t, `{}`) }()
	<-holding
	second := in.post(t, `{}`)
	close(letGo)
	if p := second.problem(t); p.Type != problemBase+"too-many-requests" || second.status != 429 || second.header.Get("Retry-After") != "1" {
		t.Errorf("got %d %s", second.status, second.body)
	}
	if got := <-first; got.status != 200 {
		t.Errorf("the first got %d %s", got.status, got.body)
	}
}

func TestAcknowledgementIsNotWaitedForForever(t *testing.T) {
	letGo := make(chan struct{})
	in := start(t, func(o *Options, q *producerQueue) {
		o.AcknowledgeTimeout = 20 * time.Millisecond
		q.complete = func(b *record.Batch) record.Outcome { <-letGo; return deliver(b) }
	})
	got := in.post(t, `{}`)
	close(letGo)
	p := got.problem(t)
	if got.status != 504 || p.Type != problemBase+"outcome-unknown" || p.Batch == "" || !strings.Contains(p.Detail, "within 20ms") {
		t.Errorf("got %d %s", got.status, got.body)
	}
}

func TestBatchOutlivesItsClient(t *testing.T) {
	holding, letGo := make(chan struct{}), make(chan struct{})
	in := start(t, func(_ *Options, q *producerQueue) {
		q.complete = func(b *record.Batch) record.Outcome { close(holding); <-letGo; return deliver(b) }
	})
	w := in.dial(t)
	w.write(t, head("Content-Length: 7")+`{"a":1}`)
	<-holding
	w.Close()
	expectCounted(t, in, "499", "outcome-unknown")
	close(letGo)
	in.queue.producing.Wait()
	if diff := cmp.Diff([]string{`{"a":1}`}, in.queue.records); diff != "" {
		t.Errorf("records (-want +got):\n%s", diff)
	}
}

func TestHalfClosedClientIsNotToldOfSuccess(t *testing.T) {
	letGo := make(chan struct{})
	in := start(t, func(_ *Options, q *producerQueue) {
		q.complete = func(b *record.Batch) record.Outcome { <-letGo; return deliver(b) }
	})
	w := in.dial(t)
	w.write(t, head("Content-Length: 2")+`{}`)
	if err := w.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	got := w.answer(t)
	close(letGo)
	if p := got.problem(t); got.status != 504 || p.Type != problemBase+"outcome-unknown" {
		t.Errorf("got %d %s", got.status, got.body)
	}
}

func TestDrainStillAcceptsButClosesConnections(t *testing.T) {
	in := start(t, nil)
	w := in.dial(t)
	w.write(t, head("Content-Length: 2")+`{}`)
	if got := w.answer(t); got.status != 200 || got.header.Get("Connection") != "" {
		t.Fatalf("before: %d, Connection %q", got.status, got.header.Get("Connection"))
	}
	in.handler.Drain()
	w.write(t, head("Content-Length: 2")+`{}`)
	if got := w.answer(t); got.status != 200 || got.header.Get("Connection") != "close" || !w.closed(t) {
		t.Errorf("after: %d, Connection %q", got.status, got.header.Get("Connection"))
	}
}

func TestMetricsOfAcceptedRequests(t *testing.T) {
	in := start(t, nil)
	for _, body := range []string{`[{"a":1},{"b":22}]`, `[{},{},{}]`, `[]`} {
		if got := in.post(t, body); got.status != 200 {
			t.Fatal(got)
		}
	}
	in.waitFor(t, "three requests to be counted", func() bool {
		return testutil.ToFloat64(in.handler.metrics.requests.WithLabelValues("200")) == 3
	})
	m := in.handler.metrics
	for name, pair := range map[string][2]float64{
		"records":   {float64(in.handler.AcceptedRecords()), 5},
		"bytes":     {testutil.ToFloat64(m.acceptedBytes), 21},
		"in flight": {testutil.ToFloat64(m.inFlight), 0},
	} {
		if pair[0] != pair[1] {
			t.Errorf("%s: %v, want %v", name, pair[0], pair[1])
		}
	}
	want := map[string][2]float64{
		"logpipeline_ingester_batch_bytes":              {2, 21},
		"logpipeline_ingester_batch_records":            {2, 5},
		"logpipeline_ingester_request_duration_seconds": {3, -1},
	}
	got := histograms(t, in.metrics)
	for name, w := range want {
		if g := got[name]; g[0] != w[0] || w[1] >= 0 && g[1] != w[1] {
			t.Errorf("%s has count and sum %v, want %v", name, g, w)
		}
	}
}

// histograms returns count and sum of every histogram.
func histograms(t *testing.T, gatherer prometheus.Gatherer) map[string][2]float64 {
	t.Helper()
	families, err := gatherer.Gather()
	if err != nil {
		t.Fatal(err)
	}
	all := map[string][2]float64{}
	for _, family := range families {
		if h := family.GetMetric()[0].GetHistogram(); h != nil {
			all[family.GetName()] = [2]float64{float64(h.GetSampleCount()), h.GetSampleSum()}
		}
	}
	return all
}
