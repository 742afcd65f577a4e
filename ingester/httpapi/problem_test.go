package httpapi

import (
	"net/http"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/logpipeline/logpipeline/ingester/record"
)

// declared finds the problems in the source, by name, with their status.
func declared(t *testing.T) map[string]int {
	t.Helper()
	var source []byte
	for _, file := range []string{"problem.go", "otlp_parse.go"} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		source = append(source, text...)
	}
	statuses := map[string]int{}
	for code := 400; code < 600; code++ {
		statuses[strings.ReplaceAll(http.StatusText(code), " ", "")] = code
	}
	recordKinds := map[string]record.Kind{
		"MalformedJSON": record.MalformedJSON, "InvalidUTF8": record.InvalidUTF8, "NotAnObject": record.NotAnObject,
		"NestingTooDeep": record.NestingTooDeep, "RecordTooLarge": record.RecordTooLarge, "NoRecords": record.NoRecords,
		"malformedOTLP": malformedOTLP, "recordsRejected": recordsRejected,
	}
	all := map[string]int{}
	for _, m := range regexp.MustCompile(`kind\{name: (?:"([a-z0-9-]+)"|string\((?:record\.)?(\w+)\)), status: http\.Status(\w+),`).FindAllStringSubmatch(string(source), -1) {
		name := m[1]
		if m[2] != "" {
			name = string(recordKinds[m[2]])
		}
		if name == "" || statuses[m[3]] == 0 {
			t.Fatalf("can't read %q", m[0])
		}
		all[name] = statuses[m[3]]
	}
	if n := strings.Count(string(source), "kind{name:"); n != len(all) {
		t.Fatalf("%d of %d problems were found in the source", len(all), n)
	}
	return all
}

// The table of problems in docs/http.md has each of them, with its status, and
// no other.
func TestEveryProblemIsDocumented(t *testing.T) {
	page, err := os.ReadFile("../../docs/http.md")
	if err != nil {
		t.Fatal(err)
	}
	documented := map[string]int{}
	for _, m := range regexp.MustCompile("(?m)^\\| `([a-z0-9-]+)` \\| (\\d{3}) \\| [^|]+ \\| [^|]+ \\|$").FindAllStringSubmatch(string(page), -1) {
		status, _ := strconv.Atoi(m[2])
		documented[m[1]] = status
	}
	if diff := cmp.Diff(declared(t), documented); diff != "" {
		t.Errorf("problems (-source +docs/http.md):\n%s", diff)
	}
}

// Every problem has its series before it happens for the first time.
func TestEveryProblemIsCountedFromZero(t *testing.T) {
	m := newMetrics(prometheus.NewRegistry())
	if got, want := testutil.CollectAndCount(m.refused), len(declared(t)); got != want {
		t.Errorf("there are %d series, want one for each of %d problems", got, want)
	}
	got := map[string]int{}
	for _, k := range kinds {
		got[k.name] = k.status
	}
	if diff := cmp.Diff(declared(t), got); diff != "" {
		t.Errorf("kinds (-source +listed):\n%s", diff)
	}
}
