package httpapi

import (
	"bytes"
	stdcmp "cmp"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/logpipeline/logpipeline/ingester/config"
	"github.com/logpipeline/logpipeline/ingester/record"
)

// The answers of OTLP are in the encoding of the request.
var otlpEncodings = []struct{ name, contentType, rest string }{
	{"protobuf", "application/x-protobuf", ""},
	{"JSON", "application/json", "{}\n"},
}

// wireOf is a request in the wire format.
func wireOf(t *testing.T, asJSON string) string {
	t.Helper()
	request, _, err := transcodeOTLP([]byte(asJSON), record.Limits{MaxRecordBytes: 1 << 20, MaxDepth: 64})
	if err != nil {
		t.Fatal(err)
	}
	return string(request)
}

func gzipOf(t *testing.T, body string) string {
	t.Helper()
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	if _, err := w.Write([]byte(body)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func (in *intake) postOTLP(t *testing.T, contentType, body string, headers ...string) answer {
	t.Helper()
	return in.send(t, "POST", "/v1/logs", body, append(headers, "Content-Type", contentType)...)
}

func TestOTLPAccepted(t *testing.T) {
	bodies := map[string]string{"application/x-protobuf": wireOf(t, specExample), "application/json": specExample}
	queued := func(o *Options, _ *producerQueue) { o.Acknowledge = config.AcknowledgeQueued }
	for _, e := range otlpEncodings {
		body := bodies[e.contentType]
		tests := []struct {
			name    string
			change  func(*Options, *producerQueue)
			body    string
			headers []string
			want    []string
		}{
			{"plain", nil, body, nil, []string{specRecord}},
			{"gzip", nil, gzipOf(t, body), []string{"Content-Encoding", "gzip"}, []string{specRecord}},
			{"queued", queued, body, nil, []string{specRecord}},
			{"no log records", nil, e.rest, nil, nil},
		}
		for _, tt := range tests {
			t.Run(e.name+", "+tt.name, func(t *testing.T) {
				in := start(t, tt.change)
				got := in.postOTLP(t, e.contentType, tt.body, tt.headers...)
				if got.status != 200 || got.body != e.rest || got.header.Get("Content-Type") != e.contentType {
					t.Errorf("got %d %q %s", got.status, got.body, got.header)
				}
				in.queue.producing.Wait()
				if diff := cmp.Diff(tt.want, in.queue.records); diff != "" {
					t.Errorf("records (-want +got):\n%s", diff)
				}
			})
		}
	}
}

func TestOTLPPartialSuccess(t *testing.T) {
	const reason = "1 of 3 log records are rejected; log record 1: it is nested more than 4 deep (requestLimits.maxDepth)"
	body := `{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"body":{"intValue":1}},{"body":` + strings.Repeat(`{"arrayValue":{"values":[`, 4) + strings.Repeat(`]}}`, 4) + `},{"body":{"intValue":2}}]}]}]}`
	wire := wireMessage{}.bytes(1<<3|asBytes, string(wireMessage{}.number(1<<3|asVarint, 1).bytes(2<<3|asBytes, reason)))
	tests := []struct{ contentType, body, want string }{
		{"application/json", body, `{"partialSuccess":{"rejectedLogRecords":"1","errorMessage":"` + reason + `"}}` + "\n"},
		{"application/x-protobuf", wireOf(t, body), string(wire)},
	}
	for _, tt := range tests {
		t.Run(tt.contentType, func(t *testing.T) {
			in := start(t, nil)
			got := in.postOTLP(t, tt.contentType, tt.body)
			if got.status != 200 || got.body != tt.want {
				t.Errorf("got %d %q, want %q", got.status, got.body, tt.want)
			}
			if diff := cmp.Diff([]string{`{"body":1}`, `{"body":2}`}, in.queue.records); diff != "" {
				t.Errorf("records (-want +got):\n%s", diff)
			}
		})
	}
}

// OTLP has unknown members ignored, so that records of POST /logs would seem to
// be taken here.
func TestOTLPWarnsOfAnotherFormat(t *testing.T) {
	got := start(t, nil).postOTLP(t, "application/json", `{"message":"hello"}`)
	const want = `{"partialSuccess":{"rejectedLogRecords":"0","errorMessage":"the request has no resourceLogs, so it holds no log records; its member \"message\" is not one of OTLP's and is ignored"}}` + "\n"
	if got.status != 200 || got.body != want {
		t.Errorf("got %d %s", got.status, got.body)
	}
}

// A record that Kafka refuses for what it is can't be sent again, and those
// beside it, which it took, must not be.
func TestOTLPPartlyRefusedByKafka(t *testing.T) {
	in := start(t, func(_ *Options, q *producerQueue) {
		q.complete = func(*record.Batch) record.Outcome {
			placed := []record.Placement{{Topic: "logs", Partition: 1, FirstOffset: 5, LastOffset: 6}, {Topic: "logs", Partition: 2, FirstOffset: 1, LastOffset: 1}}
			return record.Outcome{Placements: placed, Err: fmt.Errorf("topic: %w", record.ErrTooLarge)}
		}
	})
	body := `{"resourceLogs":[{"scopeLogs":[{"logRecords":[{},{},{},{},{"body":` + strings.Repeat(`{"arrayValue":{"values":[`, 4) + strings.Repeat(`]}}`, 4) + `}]}]}]}`
	got := in.postOTLP(t, "application/json", body)
	if got.status != 200 || !strings.HasPrefix(got.body, `{"partialSuccess":{"rejectedLogRecords":"2","errorMessage":"record-too-large: Kafka refused a record of batch `) {
		t.Errorf("got %d %s", got.status, got.body)
	}
}

// wireField returns the content of the first length-delimited field with a
// number.
func wireField(t *testing.T, message string, number protowire.Number) string {
	t.Helper()
	for rest := []byte(message); len(rest) > 0; {
		n, kind, tagged := protowire.ConsumeTag(rest)
		if tagged < 0 || kind != protowire.BytesType {
			t.Fatalf("%q is not a message of strings and messages", message)
		}
		content, size := protowire.ConsumeBytes(rest[tagged:])
		if size < 0 {
			t.Fatalf("%q is cut off", message)
		}
		if n == number {
			return string(content)
		}
		rest = rest[tagged+size:]
	}
	return ""
}

// statusOf reads a google.rpc.Status: its message, and the violation in its
// BadRequest.
func statusOf(t *testing.T, got answer) (message, violation string) {
	t.Helper()
	const badRequest = "type.googleapis.com/google.rpc.BadRequest"
	if got.header.Get("Content-Type") == "application/x-protobuf" {
		detail := wireField(t, got.body, 3)
		if url := wireField(t, detail, 1); detail != "" && url != badRequest {
			t.Errorf("detail is a %q", url)
		}
		return wireField(t, got.body, 2), wireField(t, wireField(t, wireField(t, detail, 2), 1), 2)
	}
	var status struct {
		Message string
		Details []struct {
			Type            string `json:"@type"`
			FieldViolations []struct{ Description string }
		}
	}
	if err := json.Unmarshal([]byte(got.body), &status); err != nil {
		t.Fatalf("%v in %q", err, got.body)
	}
	for _, detail := range status.Details {
		if detail.Type != badRequest {
			t.Errorf("detail is a %q", detail.Type)
		}
		violation = detail.FieldViolations[0].Description
	}
	return status.Message, violation
}

func TestOTLPRefused(t *testing.T) {
	outcome := func(err error) func(*Options, *producerQueue) {
		return func(_ *Options, q *producerQueue) {
			q.complete = func(*record.Batch) record.Outcome { return record.Outcome{Err: err} }
		}
	}
	const tooDeep = "1 of 1 log records are rejected; log record 0: it is nested more than 4 deep (requestLimits.maxDepth)"
	tests := []struct {
		name      string
		change    func(*Options, *producerQueue)
		held      int64  // bytes that others hold in the queue
		method    string // POST
		body      string // in JSON, or the same in both encodings where it isn't an object
		status    int
		message   string // or how it begins
		violation string
		header    http.Header
	}{
		{
			name: "nothing can be taken", body: ofBody(strings.Repeat(`{"arrayValue":{"values":[`, 4) + strings.Repeat(`]}}`, 4)),
			status: 400, message: "records-rejected: " + tooDeep, violation: tooDeep,
		},
		{
			name: "body too large", body: strings.Repeat(" ", testBodyBytes+1),
			status: 413, message: "body-too-large: Content-Length is 262145 bytes, more than requestLimits.maxBodyBytes = 262144; send fewer records in a request",
		},
		{
			name: "another method", method: "PUT", body: `{}`,
			status: 405, message: `method-not-allowed: method is "PUT"; /v1/logs takes POST, OPTIONS`, header: http.Header{"Allow": {"POST, OPTIONS"}},
		},
		{
			name: "queue full", body: strings.Repeat(" ", 1000), held: testQueueBytes,
			status: 429, message: "queue-full: reserve 1536 bytes: queue is full; retry later", header: http.Header{"Retry-After": {"2"}},
		},
		{
			name: "draining", body: `{}`, change: func(_ *Options, q *producerQueue) { q.closed = true },
			status: 503, message: "draining: this server takes no more records; send them to another, or retry later", header: http.Header{"Retry-After": {"1"}},
		},
		{
			name: "a fault of the server", body: ofRecord(``), change: func(_ *Options, q *producerQueue) { q.refuse = errors.New("not put") },
			status: 503, message: "not-delivered: batch " + testInstance + ".", header: http.Header{"Retry-After": {"5"}},
		},
		{
			name: "not delivered", body: ofRecord(``), change: outcome(fmt.Errorf("broker 1: %w", record.ErrNotDelivered)),
			status: 503, message: "not-delivered: batch " + testInstance + ".", header: http.Header{"Retry-After": {"5"}},
		},
		{
			name: "unknown", body: ofRecord(``), change: outcome(fmt.Errorf("broker 1: %w", record.ErrOutcomeUnknown)),
			status: 504, message: "outcome-unknown: batch " + testInstance + ".",
		},
		{
			name: "too large for the topic", body: ofRecord(``), change: outcome(fmt.Errorf("topic: %w", record.ErrTooLarge)),
			status: 413, message: "record-too-large: Kafka refused a record of batch " + testInstance + ".",
		},
	}
	for _, tt := range tests {
		for _, e := range otlpEncodings {
			t.Run(tt.name+", "+e.name, func(t *testing.T) {
				in := start(t, tt.change)
				body := tt.body
				if body[0] == '{' && e.name == "protobuf" {
					body = wireOf(t, body)
				}
				account := in.queue.NewAccount()
				if err := account.Reserve(tt.held); err != nil && tt.held > 0 {
					t.Fatal(err)
				}
				got := in.send(t, stdcmp.Or(tt.method, "POST"), "/v1/logs", body, "Content-Type", e.contentType)
				if tt.held > 0 {
					account.Release(tt.held)
				}
				if message, violation := statusOf(t, got); got.status != tt.status || !strings.HasPrefix(message, tt.message) || violation != tt.violation {
					t.Errorf("got %d %q, violation %q", got.status, message, violation)
				}
				if kind := got.header.Get("Content-Type"); kind != e.contentType {
					t.Errorf("Content-Type is %q", kind)
				}
				for name := range tt.header {
					if diff := cmp.Diff(tt.header[name], got.header[name]); diff != "" {
						t.Errorf("%s (-want +got):\n%s", name, diff)
					}
				}
			})
		}
	}
}

func TestOTLPMediaTypes(t *testing.T) {
	tests := []struct {
		name, contentType string
		status            int
		answer            string
	}{
		{"with a charset", "Application/JSON; charset=utf-8", 200, "application/json"},
		{"protobuf by a short name", "application/protobuf", 415, "application/json"},
		{"lines", "application/x-ndjson", 415, "application/json"},
		{"none", "", 415, "application/json"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := start(t, nil).postOTLP(t, tt.contentType, "{}")
			if got.status != tt.status || got.header.Get("Content-Type") != tt.answer {
				t.Errorf("got %d %s %s", got.status, got.header, got.body)
			}
			if tt.status == 415 && got.header.Get("Accept-Post") != otlpTypes {
				t.Errorf("Accept-Post is %q", got.header.Get("Accept-Post"))
			}
		})
	}
}

// A body that came too slowly passes by itself, and 408 would make the clients
// of OTLP give it up.
func TestOTLPSlowBodyMayBeSentAgain(t *testing.T) {
	in := start(t, func(o *Options, _ *producerQueue) { o.Limits.BodyTimeoutSeconds = 1 })
	w := in.dial(t)
	w.write(t, "POST /v1/logs HTTP/1.1\r\nHost: logs\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{")
	got := w.answer(t)
	if got.status != 503 || !strings.HasPrefix(got.body, `{"message":"body-timeout: 1 bytes of the body came within`) {
		t.Errorf("got %d %s", got.status, got.body)
	}
}

// What is reserved while a request is converted is given back before it is
// queued, but for the lines and their index.
func TestOTLPHoldsItsLinesAlone(t *testing.T) {
	reserved := make(chan [2]int64, 1)
	in := start(t, func(_ *Options, q *producerQueue) {
		q.complete = func(b *record.Batch) record.Outcome {
			reserved <- [2]int64{b.Reserved, b.Memory()}
			return deliver(b)
		}
	})
	for _, records := range []int{1, 1000} {
		body := `{"resourceLogs":[{"scopeLogs":[{"logRecords":[` + strings.Repeat(`{"severityText":"a"},`, records-1) + `{}]}]}]}`
		if got := in.postOTLP(t, "application/x-protobuf", wireOf(t, body)); got.status != 200 {
			t.Fatal(got)
		}
		if got := <-reserved; got[0] != got[1] {
			t.Errorf("%d records: %d bytes are reserved for a batch that takes %d", records, got[0], got[1])
		}
	}
}
