package segment

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/logpipeline/logpipeline/ingester/record"
)

// BenchmarkSeal is the fixed cost of a segment: its fsyncs and names.
func BenchmarkSeal(b *testing.B) {
	c := openChain(b, openDirectory(b, b.TempDir()))
	for b.Loop() {
		appendRecords(b, c, 1)
		seal(b, c)
	}
}

// BenchmarkAppend is the cost of a byte, the write to the page cache included.
func BenchmarkAppend(b *testing.B) {
	for _, compression := range segmentCodecs {
		b.Run(string(compression), func(b *testing.B) {
			c := openChain(b, openCompressed(b, b.TempDir(), compression))
			lines, span := logLines(5, 4_000)
			b.SetBytes(int64(len(lines)))
			b.ReportAllocs()
			for b.Loop() {
				if err := c.Append(lines, span); err != nil {
					b.Fatal(err)
				}
				if span.BaseOffset, span.NextOffset = span.NextOffset, span.NextOffset+span.Records; c.pending.link.UncompressedBytes > 64<<20 {
					seal(b, c)
				}
			}
		})
	}
}

// logLines returns n records as services log them, of some 250 bytes each, and
// their span.
func logLines(base int64, n int) ([]byte, record.Span) {
	random := rand.New(rand.NewPCG(uint64(base), 1))
	var b bytes.Buffer
	for i := range n {
		fmt.Fprintf(&b, `{"time":"2026-11-23T12:%02d:%02d.%06dZ","level":"info","service":"orders-%d","message":"request handled in %d ms","path":"/api/v1/orders/%x","trace":"%016x%016x","status":%d,"bytes":%d}`+"\n",
			i/60%60, i%60, random.IntN(1e6), random.IntN(20), random.IntN(500), random.IntN(1e6), random.Uint64(), random.Uint64(), 200+random.IntN(5), random.IntN(100_000))
	}
	_, span := numbered(base, n, noon)
	return b.Bytes(), span
}

// BenchmarkOpenLongChain opens a chain of 10,000 segments.
func BenchmarkOpenLongChain(b *testing.B) {
	dir := b.TempDir()
	d := openDirectory(b, dir)
	c := openChain(b, d)
	for range 10_000 {
		appendRecords(b, c, 1)
		seal(b, c)
	}
	b.Run("with the head hint", func(b *testing.B) {
		for b.Loop() {
			openChain(b, d)
		}
	})
	b.Run("without", func(b *testing.B) {
		for b.Loop() {
			if err := removeIfExists(filepath.Join(dir, chainOf0, headName)); err != nil && !os.IsNotExist(err) {
				b.Fatal(err)
			}
			openChain(b, d)
		}
	})
}
