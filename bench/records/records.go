// Package records makes the log records that the benchmarks send: what
// services write, in JSON, about 255 bytes each. The same seed gives the same
// records.
package records

import (
	"fmt"
	"math/rand/v2"
	"time"
)

var (
	services = []string{"checkout", "catalog", "payments", "accounts", "search", "shipping", "gateway", "mailer"}
	levels   = []string{"debug", "info", "info", "info", "info", "info", "warn", "error"}
	methods  = []string{"GET", "GET", "GET", "POST", "PUT", "DELETE"}
	things   = []string{"orders", "carts", "users", "items", "invoices", "sessions"}
	statuses = []int{200, 200, 200, 200, 201, 204, 304, 400, 404, 500, 503}
	messages = []string{
		"request served from cache",
		"request completed",
		"connection pool exhausted, waiting for %d ms",
		"retrying upstream call, attempt %d",
		"user \\\"u-%d\\\" not found",
		"query took %d ms, slower than its budget",
		"payload of %d bytes accepted",
	}
)

// Lines returns n records, each a JSON object on one line without its end.
func Lines(seed uint64, n int) [][]byte {
	random := rand.New(rand.NewPCG(seed, seed))
	at := time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC)
	lines := make([][]byte, n)
	for i := range lines {
		at = at.Add(time.Duration(random.IntN(1_000_000)) * time.Nanosecond)
		lines[i] = line(random, at)
	}
	return lines
}

func line(random *rand.Rand, at time.Time) []byte {
	var b []byte
	b = fmt.Appendf(b, `{"ts":%q,"level":%q,"service":%q,"host":"node-%02d"`,
		at.Format("2006-01-02T15:04:05.000000Z"), pick(random, levels), pick(random, services), random.IntN(40))
	b = fmt.Appendf(b, `,"trace_id":"%016x","method":%q,"path":"/api/v1/%s/%d"`,
		random.Uint64(), pick(random, methods), pick(random, things), random.IntN(1_000_000))
	b = fmt.Appendf(b, `,"status":%d,"duration_ms":%.3f,"bytes":%d,"message":"`,
		pick(random, statuses), random.ExpFloat64()*20, random.IntN(100_000))
	b = appendMessage(b, random)
	return append(b, `"}`...)
}

func appendMessage(b []byte, random *rand.Rand) []byte {
	format := pick(random, messages)
	if argument := random.IntN(10_000); hasArgument(format) {
		return fmt.Appendf(b, format, argument)
	}
	return append(b, format...)
}

func hasArgument(format string) bool {
	for _, c := range format {
		if c == '%' {
			return true
		}
	}
	return false
}

func pick[T any](random *rand.Rand, from []T) T { return from[random.IntN(len(from))] }
