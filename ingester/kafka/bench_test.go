package kafka

import (
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/logpipeline/logpipeline/ingester/config"
)

var benchValue = []byte(`{"message":"` + strings.Repeat("x", 240) + `"}`)

// logLines are records of about 255 bytes that are alike as those of a service
// are: the same fields, of which some never repeat.
func logLines(n int) [][]byte {
	random := rand.New(rand.NewPCG(1, 2))
	levels, paths := []string{"info", "info", "info", "warn", "error"}, []string{"/v1/orders", "/v1/customers", "/v1/invoices", "/healthz"}
	lines := make([][]byte, n)
	for i := range lines {
		lines[i] = fmt.Appendf(nil, `{"time":"2026-03-01T12:%02d:%02d.%09dZ","level":%q,"service":"orders","pod":"orders-7c9d%04x-%05x","trace":"%016x%016x","method":"GET","path":"%s/%d","status":%d,"durationMs":%.3f,"bytes":%d,"message":"request done"}`,
			i/60%60, i%60, random.IntN(1e9), levels[random.IntN(5)], random.IntN(4), random.IntN(8), random.Uint64(), random.Uint64(),
			paths[random.IntN(4)], random.IntN(100_000), 200+random.IntN(3)*100, random.Float64()*100, random.IntN(10_000))
	}
	return lines
}

// BenchmarkBuild builds and seals batches of as many records as fit the default
// limit of 1 MB.
func BenchmarkBuild(b *testing.B) {
	lines := logLines(3900)
	for _, c := range []struct {
		codec config.Compression
		level int
	}{{"none", 0}, {"gzip", 1}, {"gzip", 0}, {"snappy", 0}, {"lz4", 0}, {"lz4", 9}, {"zstd", 1}, {"zstd", 0}, {"zstd", 9}} {
		b.Run(fmt.Sprintf("%s-%d", c.codec, c.level), func(b *testing.B) {
			builder := newBuilder(b, c.codec, c.level)
			sealed := 0
			b.ReportAllocs()
			for b.Loop() {
				builder.Reset()
				for _, line := range lines {
					builder.Append(1_700_000_000_000, nil, line, nil)
				}
				sealed = len(builder.Seal(ProducerID{}, 0))
			}
			b.ReportMetric(float64(builder.Size())/float64(sealed), "ratio")
			reportPerRecord(b, len(lines))
		})
	}
}

// BenchmarkWalk reads them.
func BenchmarkWalk(b *testing.B) {
	lines := logLines(3900)
	for _, codec := range codecs {
		b.Run(string(codec), func(b *testing.B) {
			builder := newBuilder(b, codec, 0)
			for _, line := range lines {
				builder.Append(1_700_000_000_000, nil, line, nil)
			}
			data := builder.Seal(ProducerID{}, 0)
			b.ReportAllocs()
			var reader BatchReader
			var r Record
			for b.Loop() {
				n := 0
				for reader.Reset(data, 0, nil); ; {
					batch, err := reader.Next()
					if err == io.EOF {
						break
					}
					if err != nil {
						b.Fatal(err)
					}
					for batch.Next(&r) {
						n++
					}
				}
				if n != len(lines) {
					b.Fatalf("%d records", n)
				}
			}
			reportPerRecord(b, len(lines))
		})
	}
}

func reportPerRecord(b *testing.B, records int) {
	perRecord := float64(b.Elapsed().Nanoseconds()) / float64(b.N) / float64(records)
	b.ReportMetric(perRecord, "ns/record")
	b.ReportMetric(1e9/perRecord, "records/s")
}
