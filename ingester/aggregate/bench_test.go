package aggregate

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/logpipeline/logpipeline/ingester/config"
)

// logLines are n records of 255 bytes on average, as services write them, with
// 5 levels, 20 services and a duration.
func logLines(n int) []byte {
	random := rand.New(rand.NewPCG(1, 2))
	levels := []string{"debug", "info", "info", "info", "warn", "error"}
	var lines []byte
	for i := range n {
		lines = fmt.Appendf(lines, `{"timestamp":"2026-09-01T10:00:%02d.%06dZ","level":%q,"service":"service-%02d","host":"ip-10-0-%d-%d","trace":"%016x%016x","message":"request handled by the upstream","duration":%.3f,"status":%d,"path":"/api/v1/orders/%d","retry":false}`+"\n",
			i%60, i%1_000_000, levels[random.IntN(len(levels))], random.IntN(20), i%4, i%250, random.Uint64(), random.Uint64(), random.ExpFloat64()*40, 200+i%5, i)
	}
	return lines
}

func benchmarkConfig() config.Aggregation {
	cfg := config.Default().Aggregation
	cfg.GroupBy = []string{"level", "service"}
	cfg.Numeric = []string{"duration"}
	return cfg
}

// BenchmarkAdd is what a consumer pays for aggregation: records a second of one
// core, with two fields to group by and one number.
func BenchmarkAdd(b *testing.B) {
	const records = 10_000
	lines := logLines(records)
	run := func(name string, change func(*config.Aggregation)) {
		b.Run(name, func(b *testing.B) {
			cfg := benchmarkConfig()
			change(&cfg)
			plan := must(b, cfg)
			r := plan.NewRollup()
			b.SetBytes(int64(len(lines)))
			b.ReportAllocs()
			r.Add(lines, 0)
			for b.Loop() {
				r.Add(lines, 0)
			}
			b.ReportMetric(float64(b.N*records)/b.Elapsed().Seconds(), "records/s")
		})
	}
	run("two groups and a number", func(*config.Aggregation) {})
	run("two groups", func(c *config.Aggregation) { c.Numeric = nil })
	run("a number", func(c *config.Aggregation) { c.GroupBy = nil })
	run("most are other", func(c *config.Aggregation) { c.MaxGroups = 1 })
}

// BenchmarkSegment is all that one segment of 64 MiB costs, from its first
// record to the bytes beside it.
func BenchmarkSegment(b *testing.B) {
	const records, batches = 1000, 256
	lines := logLines(records)
	plan := must(b, benchmarkConfig())
	var size int
	b.ReportAllocs()
	for b.Loop() {
		r := plan.NewRollup()
		for batch := range batches {
			r.Add(lines, int64(batch)*500)
		}
		size = len(r.Encode(Source{Topic: "logs", TopicID: "id"}))
	}
	b.ReportMetric(float64(b.N*records*batches)/b.Elapsed().Seconds(), "records/s")
	b.ReportMetric(float64(size), "encoded-B")
}

// BenchmarkAnswer merges encoded roll-ups of 100 groups.
func BenchmarkAnswer(b *testing.B) {
	plan := must(b, benchmarkConfig())
	r := plan.NewRollup()
	r.Add(logLines(10_000), 0)
	encoded := r.Encode(Source{})
	query := Query{From: at(0), To: at(3600), Step: plan.Window()}
	b.ReportAllocs()
	answer, err := plan.NewAnswer(query)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		r, _, err := plan.Decode(encoded)
		if err != nil {
			b.Fatal(err)
		}
		if err := answer.Add(r); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "rollups/s")
}
