package record

import (
	"encoding/json"
	"testing"
)

// BenchmarkLookup finds fields in records of about 255 bytes: records a second
// is what a keyed producer can do at most.
func BenchmarkLookup(b *testing.B) {
	lines := logLines(100)
	size := 0
	for _, line := range lines {
		size += len(line)
	}
	run := func(name string, dotted ...string) {
		b.Run(name, func(b *testing.B) {
			paths, err := ParsePaths(dotted...)
			if err != nil {
				b.Fatal(err)
			}
			into := make([]Value, paths.Len())
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				for _, line := range lines {
					paths.Lookup(line, into)
				}
			}
			b.ReportMetric(float64(b.N*len(lines))/b.Elapsed().Seconds(), "records/s")
		})
	}
	run("beginning", "timestamp")
	run("middle", "trace")
	run("end", "retry")
	run("absent", "tenant.id")
	run("three at once", "level", "service", "status")
	b.Run("encoding/json", func(b *testing.B) {
		b.SetBytes(int64(size))
		b.ReportAllocs()
		for b.Loop() {
			for _, line := range lines {
				var found struct{ Trace string }
				if err := json.Unmarshal(line, &found); err != nil {
					b.Fatal(err)
				}
			}
		}
		b.ReportMetric(float64(b.N*len(lines))/b.Elapsed().Seconds(), "records/s")
	})
}
