package records

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"
)

// NDJSON puts one record on each line.
func NDJSON(lines [][]byte) []byte { return append(Joined(lines), '\n') }

// Joined is NDJSON without the end of the last line, after which some see one
// more record, an empty one.
func Joined(lines [][]byte) []byte { return bytes.Join(lines, []byte("\n")) }

// Array makes a JSON array of the records.
func Array(lines [][]byte) []byte {
	body := append([]byte("["), bytes.Join(lines, []byte(","))...)
	return append(body, ']')
}

// OTLP makes an ExportLogsServiceRequest in OTLP's JSON encoding
// (opentelemetry.io/docs/specs/otlp), in which each record is the body of one
// log record, as a string: the least that OTLP can carry for the same bytes.
func OTLP(lines [][]byte) []byte {
	at := time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC).UnixNano()
	body := []byte(`{"resourceLogs":[{"resource":{},"scopeLogs":[{"scope":{},"logRecords":[`)
	for i, line := range lines {
		if i > 0 {
			body = append(body, ',')
		}
		text, err := json.Marshal(string(line))
		if err != nil {
			panic(err) // a string can be marshalled
		}
		body = fmt.Appendf(body, `{"timeUnixNano":"%d","body":{"stringValue":%s}}`, at+int64(i), text)
	}
	return append(body, `]}]}]}`...)
}
