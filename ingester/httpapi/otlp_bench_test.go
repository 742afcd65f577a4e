package httpapi

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/logpipeline/logpipeline/ingester/record"
)

// otlpRequest is a request of n records of about 250 bytes in the wire format,
// as a Collector sends them for one pod.
func otlpRequest(n int) string {
	var records []string
	for i := range n {
		records = append(records, fmt.Sprintf(`{"timeUnixNano":"17000000000%08d","observedTimeUnixNano":"1700000000000000005","severityNumber":9,"severityText":"INFO","traceId":"5b8efff798038103d269b633813fc60c","spanId":"eee19b7ec3c1b174",`+
			`"body":{"stringValue":"GET /api/v1/carts/%05d/items finished: \"ok\", 3 items, cache warm"},"attributes":[{"key":"http.method","value":{"stringValue":"GET"}},{"key":"http.status_code","value":{"intValue":"200"}},`+
			`{"key":"duration_ms","value":{"doubleValue":%d.25}},{"key":"user_agent","value":{"stringValue":"Mozilla/5.0 (X11; Linux x86_64)"}}]}`, i, i, i))
	}
	var resource []string
	for _, name := range []string{"service.name", "k8s.pod.name", "k8s.namespace.name", "k8s.node.name", "host.name"} {
		resource = append(resource, fmt.Sprintf(`{"key":%q,"value":{"stringValue":"some-value-of-%s"}}`, name, name))
	}
	return `{"resourceLogs":[{"resource":{"attributes":[` + strings.Join(resource, ",") + `]},"scopeLogs":[{"scope":{"name":"my.library","version":"1.0.0"},"logRecords":[` + strings.Join(records, ",") + `]}]}]}`
}

func BenchmarkOTLP(b *testing.B) {
	limits := record.Limits{MaxRecordBytes: 1 << 20, MaxDepth: 64}
	asJSON := []byte(otlpRequest(100))
	request, _, err := transcodeOTLP(bytes.Clone(asJSON), limits)
	if err != nil {
		b.Fatal(err)
	}
	for _, bench := range []struct {
		name  string
		body  []byte
		parse otlpParser
	}{{"protobuf", request, parseOTLP}, {"JSON", asJSON, parseOTLPJSON}} {
		b.Run(bench.name, func(b *testing.B) {
			b.SetBytes(int64(len(bench.body)))
			b.ReportAllocs()
			for b.Loop() {
				if err := bench.parse(record.NewBatch("b"), bytes.Clone(bench.body), limits); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(100*float64(b.N)/b.Elapsed().Seconds(), "records/s")
		})
	}
}
