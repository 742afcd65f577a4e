package httpapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/logpipeline/logpipeline/ingester/record"
)

// countRecords is how many log records a well-formed request holds.
func countRecords(body []byte) int {
	count := 0
	var walk func(message []byte, path ...protowire.Number)
	walk = func(message []byte, path ...protowire.Number) {
		for len(message) > 0 {
			number, kind, n := protowire.ConsumeTag(message)
			value := message[n:]
			size := protowire.ConsumeFieldValue(number, kind, value)
			if number == path[0] && kind == protowire.BytesType {
				content, _ := protowire.ConsumeBytes(value)
				if len(path) == 1 {
					count++
				} else {
					walk(content, path[1:]...)
				}
			}
			message = value[size:]
		}
	}
	walk(body, 1, 2, 2)
	return count
}

// checkOTLPResult fails unless each log record of the request is an acceptable
// record of the batch or rejected, and no more memory is held than reserved.
func checkOTLPResult(t *testing.T, request []byte, limits record.Limits) {
	t.Helper()
	granted := int64(0)
	limits.Reserve = func(n int64) error { granted += n; return nil }
	w := otlpWriter{limits: limits}
	w.request(bytes.Clone(request))
	if held := int64(cap(w.lines) + cap(w.origin) + entryBytes*cap(w.entries.stack) + w.entries.index); held > granted {
		t.Fatalf("%d bytes are held and %d reserved", held, granted)
	}
	b := record.NewBatch("b")
	err := parseOTLP(b, bytes.Clone(request), limits)
	var refusal *record.ParseError
	var rest *partial
	switch {
	case errors.As(err, &refusal):
		if refusal.Offset > int64(len(request)) || b.Len() > 0 {
			t.Fatalf("refused with %#v and %d records", refusal, b.Len())
		}
		return
	case errors.As(err, &rest) && rest.rejected == 0 || err != nil && rest == nil:
		t.Fatalf("error is %v", err)
	}
	rejected := 0
	if rest != nil {
		rejected = rest.rejected
	}
	if want := countRecords(request); b.Len()+rejected != want {
		t.Fatalf("%d records and %d rejected of %d", b.Len(), rejected, want)
	}
	for i := range b.Len() {
		var object map[string]any
		if text := b.Record(i); json.Unmarshal(text, &object) != nil || int64(len(text)) > limits.MaxRecordBytes {
			t.Fatalf("record %d is %q", i, text)
		}
	}
}

var otlpFuzzLimits = record.Limits{MaxRecordBytes: 4 << 10, MaxDepth: 6}

func FuzzOTLP(f *testing.F) {
	for _, body := range []string{specExample, ofBody(`{"arrayValue":{"values":[{"doubleValue":1e-7},{"bytesValue":"AA"},{"kvlistValue":{"values":[{"key":"a\n"},{"key":"a\n"}]}}]}}`)} {
		request, _, err := transcodeOTLP([]byte(body), otlpFuzzLimits)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(request)
	}
	f.Add([]byte(ofRecords(wireMessage{}.bytes(recordBody, nested(7)), wireMessage{}.bytes(recordEventName, "\xff"))))
	f.Fuzz(func(t *testing.T, body []byte) { checkOTLPResult(t, body, otlpFuzzLimits) })
}

func FuzzOTLPJSON(f *testing.F) {
	for _, body := range []string{
		specExample, `{}`, `[]`, `{"resourceLogs":[{"scopeLogs":[{"logRecords":[{},{"body":{"stringValue":"\ud83d\ude00\u0000"}}]}]}]}`,
		ofBody(`{"bytesValue":"-_8=","intValue":"-1","boolValue":false}`), ofAttributes(`{"key":"a","value":{"kvlistValue":{"values":[{"key":"b"}]}}}`), ofRecord("\"new\":\n[1,{\"a\":\"\\\"\"}],\"flags\":1e0"),
	} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		request, _, err := transcodeOTLP(bytes.Clone(body), otlpFuzzLimits)
		var refusal *record.ParseError
		if err != nil && !errors.As(err, &refusal) {
			t.Fatalf("error is %v", err)
		}
		if err != nil {
			return
		}
		if len(request) > len(body) {
			t.Fatalf("%d bytes of JSON became %d", len(body), len(request))
		}
		checkOTLPResult(t, request, otlpFuzzLimits)
	})
}
