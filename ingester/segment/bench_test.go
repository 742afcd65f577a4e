package segment

import (
	"os"
	"path/filepath"
	"testing"
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
	c := openChain(b, openDirectory(b, b.TempDir()))
	lines, span := numbered(5, 50_000, noon)
	b.SetBytes(int64(len(lines)))
	for b.Loop() {
		if err := c.Append(lines, span); err != nil {
			b.Fatal(err)
		}
		if span.BaseOffset, span.NextOffset = span.NextOffset, span.NextOffset+span.Records; c.pending.link.Bytes > 64<<20 {
			seal(b, c)
		}
	}
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
