package records

import (
	"bytes"
	"encoding/json"
	"slices"
	"testing"
)

func TestLinesAreRecordsOfTheSizeThatTheFiguresAreFor(t *testing.T) {
	lines := Lines(1, 10_000)
	total := 0
	for _, line := range lines {
		total += len(line)
		if !json.Valid(line) || line[0] != '{' || bytes.IndexByte(line, '\n') >= 0 {
			t.Fatalf("not a JSON object on one line: %s", line)
		}
	}
	if mean := total / len(lines); mean < 245 || mean > 265 {
		t.Errorf("a record has %d bytes in the mean, want about 255", mean)
	}
	if !slices.EqualFunc(lines, Lines(1, 10_000), bytes.Equal) {
		t.Error("the same seed gave other records")
	}
}

func TestBodiesHoldEveryRecord(t *testing.T) {
	lines := Lines(2, 3)
	var array []json.RawMessage
	if err := json.Unmarshal(Array(lines), &array); err != nil || len(array) != len(lines) {
		t.Errorf("array of %d records: %v", len(array), err)
	}
	if got := bytes.Split(bytes.TrimSuffix(NDJSON(lines), []byte("\n")), []byte("\n")); !slices.EqualFunc(got, lines, bytes.Equal) {
		t.Errorf("lines: %q", got)
	}
	var request struct {
		ResourceLogs []struct {
			ScopeLogs []struct {
				LogRecords []struct {
					Body struct{ StringValue string }
				}
			}
		}
	}
	if err := json.Unmarshal(OTLP(lines), &request); err != nil {
		t.Fatal(err)
	}
	for i, record := range request.ResourceLogs[0].ScopeLogs[0].LogRecords {
		if record.Body.StringValue != string(lines[i]) {
			t.Errorf("OTLP record %d is %s, want %s", i, record.Body.StringValue, lines[i])
		}
	}
}
