package collector

import (
	"bytes"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// variants are the ways in which the Collector sends.
var variants = []struct{ name, encoding, compression string }{
	{"proto-none", "proto", "none"},
	{"proto-gzip", "proto", "gzip"},
	{"proto-zstd", "proto", "zstd"},
	{"proto-snappy", "proto", "x-snappy-framed"},
	{"json-none", "json", "none"},
	{"json-gzip", "json", "gzip"},
}

const (
	requests          = 60 // that the Collector gets
	recordsOfARequest = 50
)

// The Collector keeps what it was given until it is told that it is taken. So
// every record has to arrive, at least once and as it was, although the intake
// refuses, fails, doubts, is killed and is restarted.
func TestNothingIsLost(t *testing.T) {
	dir := t.TempDir()
	addresses := freeAddresses(t, len(variants)+1)
	receiver, intakes := addresses[0], addresses[1:]
	binary := collectorBinary(t)

	intake := startIntake(t, dir, intakes)
	startCollector(t, binary, dir, receiver, intakes)
	for i := range requests {
		give(t, receiver, i)
		switch i {
		case requests / 3:
			waitFor(t, "a first answer", func() bool { return eachHas(dir, ".statuses", "200") })
			intake.end(t, syscall.SIGKILL)
			intake = startIntake(t, dir, intakes)
		case 2 * requests / 3:
			intake.end(t, syscall.SIGTERM)
			intake = startIntake(t, dir, intakes)
		}
	}
	want := map[string]int{}
	for i := range requests * recordsOfARequest {
		want[lineOf(i)] = 0
	}
	for _, variant := range variants {
		t.Run(variant.name, func(t *testing.T) {
			var found map[string]int
			waitFor(t, "every record", func() bool {
				found = linesOf(dir, variant.name+".ndjson")
				return len(found) >= len(want)
			})
			doubled := 0
			for line, times := range found {
				if _, known := want[line]; !known {
					t.Fatalf("a record is not what was sent:\n%s\nwant, for instance\n%s", line, lineOf(0))
				}
				doubled += times - 1
			}
			statuses := linesOf(dir, variant.name+".statuses")
			// Whether the queue was full, too (429), is up to the machine.
			for _, status := range []string{"200", "503", "504"} {
				if statuses[status] == 0 {
					t.Errorf("the intake never answered %s, only %v", status, statuses)
				}
			}
			t.Logf("%d records, %d of them doubled; answers %v", len(found), doubled, statuses)
		})
	}
	intake.end(t, syscall.SIGTERM)
}

// bodyOf is request i as the Collector gets it.
func bodyOf(i int) string {
	var records []string
	for n := i * recordsOfARequest; n < (i+1)*recordsOfARequest; n++ {
		records = append(records, fmt.Sprintf(`{"timeUnixNano":"17000000000000%05d","observedTimeUnixNano":"1700000000000000000","severityNumber":9,"severityText":"INFO","eventName":"e",`+
			`"traceId":"5b8efff798038103d269b633813fc60c","spanId":"eee19b7ec3c1b174","flags":1,"body":{"stringValue":"record %d says \"hé\n\""},"attributes":[`+
			`{"key":"integer","value":{"intValue":"9007199254740993"}},{"key":"double","value":{"doubleValue":0.25}},{"key":"boolean","value":{"boolValue":true}},{"key":"bytes","value":{"bytesValue":"+/8="}},`+
			`{"key":"nothing","value":{}},{"key":"map","value":{"kvlistValue":{"values":[{"key":"list","value":{"arrayValue":{"values":[{"intValue":"-1"},{"stringValue":""}]}}}]}}}]}`, n, n))
	}
	return `{"resourceLogs":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"shop"}}]},"schemaUrl":"https://example.com/r","scopeLogs":[{"scope":{"name":"cart","version":"1.2","attributes":[{"key":"a","value":{"boolValue":false}}]},"logRecords":[` +
		strings.Join(records, ",") + `]}]}]}`
}

// lineOf is what record n has to become.
func lineOf(n int) string {
	return fmt.Sprintf(`{"time":"2023-11-14T22:13:20.0000%05dZ","observedTime":"2023-11-14T22:13:20.000000000Z","severityNumber":9,"severityText":"INFO","eventName":"e",`+
		`"traceId":"5b8efff798038103d269b633813fc60c","spanId":"eee19b7ec3c1b174","flags":1,"body":"record %d says \"hé\n\"","attributes":{"integer":9007199254740993,"double":0.25,"boolean":true,"bytes":"+/8=","nothing":null,"map":{"list":[-1,""]}},`+
		`"resource":{"attributes":{"service.name":"shop"},"schemaUrl":"https://example.com/r"},"scope":{"name":"cart","version":"1.2","attributes":{"a":false}}}`, n, n)
}

// give sends request i to the Collector, which has to take it.
func give(t *testing.T, receiver string, i int) {
	t.Helper()
	response, err := http.Post("http://"+receiver+"/v1/logs", "application/json", strings.NewReader(bodyOf(i)))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		t.Fatalf("the Collector answered %s to request %d", response.Status, i)
	}
}

// linesOf counts the complete lines of a file.
func linesOf(dir, name string) map[string]int {
	content, _ := os.ReadFile(filepath.Join(dir, name))
	counts := map[string]int{}
	for line := range bytes.Lines(content) {
		if text, complete := bytes.CutSuffix(line, []byte("\n")); complete {
			counts[string(text)]++
		}
	}
	return counts
}

// eachHas reports whether every variant has a line in its file.
func eachHas(dir, suffix, line string) bool {
	for _, variant := range variants {
		if !slices.Contains(slices.Collect(maps.Keys(linesOf(dir, variant.name+suffix))), line) {
			return false
		}
	}
	return true
}

func waitFor(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(150 * time.Second); !condition(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("gave up waiting for %s", what)
		}
	}
}
