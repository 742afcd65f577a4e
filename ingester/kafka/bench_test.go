package kafka

import (
	"io"
	"strings"
	"testing"
)

const benchRecords = 1000

var benchValue = []byte(`{"message":"` + strings.Repeat("x", 240) + `"}`)

func BenchmarkBuild(b *testing.B) {
	var builder BatchBuilder
	b.ReportAllocs()
	for b.Loop() {
		builder.Reset()
		for range benchRecords {
			builder.Append(1_700_000_000_000, benchValue)
		}
		b.SetBytes(int64(len(builder.Seal(ProducerID{}, 0))))
	}
	reportPerRecord(b)
}

func BenchmarkWalk(b *testing.B) {
	var builder BatchBuilder
	for range benchRecords {
		builder.Append(1_700_000_000_000, benchValue)
	}
	data := builder.Seal(ProducerID{}, 0)
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	var reader BatchReader
	var r Record
	for b.Loop() {
		reader.Reset(data, 0, nil)
		n := 0
		for {
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
		if n != benchRecords {
			b.Fatalf("%d records", n)
		}
	}
	reportPerRecord(b)
}

func reportPerRecord(b *testing.B) {
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/benchRecords, "ns/record")
}
