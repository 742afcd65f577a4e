package segment

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/logpipeline/logpipeline/ingester/record"
	"github.com/logpipeline/logpipeline/ingester/segment/s3server"
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

// BenchmarkOpenLongChain opens a chain of 100,000 segments, as a restart does.
func BenchmarkOpenLongChain(b *testing.B) {
	for _, kind := range []string{"directory", "S3"} {
		b.Run(kind, func(b *testing.B) {
			const links = 100_000
			s := openLong(b, kind, links)
			open := func(b *testing.B) {
				if next := openChain(b, s).NextOffset(); next != 5+2*links {
					b.Fatalf("next offset is %d", next)
				}
			}
			b.Run("without a hint", func(b *testing.B) {
				for b.Loop() {
					open(b)
				}
			})
			c := openChain(b, s)
			hint := func(sealsAgo int64) {
				link, err := readLink(b.Context(), s.files, c.partition, 5+2*(links-1-sealsAgo))
				if err != nil {
					b.Fatal(err)
				}
				c.writeHints(b.Context(), link)
			}
			hint(milestoneEvery - 1)
			removeFrom(b, s, c.dir+"/"+headName)
			b.Run("with a milestone", func(b *testing.B) {
				for b.Loop() {
					open(b)
				}
			})
			hint(0)
			b.Run("with both", func(b *testing.B) {
				for b.Loop() {
					open(b)
				}
			})
		})
	}
}

// openLong makes a chain by hand, since it would take minutes otherwise. Each
// link lists 100 record batches.
func openLong(b *testing.B, kind string, links int) *Store {
	b.Helper()
	root, prefix := b.TempDir(), newPrefix()
	open := func() *Store { return openDirectory(b, root) }
	if kind == "S3" {
		server := s3(b)
		root = filepath.Join(server.Dir, s3server.Bucket, prefix)
		open = func() *Store { return openS3(b, s3server.URL(server.Address, prefix), "") }
	}
	s := open()
	c := openChain(b, s)
	appendRecords(b, c, 2)
	link := c.pending.link
	for range 99 {
		link.Batches = append(link.Batches, link.Batches[0])
	}
	link.Bytes, link.Checksum = link.UncompressedBytes, formatChecksum(0)
	for i := range int64(links) {
		link.BaseOffset = 5 + 2*i
		link.NextOffset = link.BaseOffset + 2
		link.DataPath = c.partition.dataPath(link.BaseOffset, noon, codecNone)
		link.Totals = &Totals{Records: 2 * (i + 1), Bytes: link.Bytes * (i + 1)}
		content, err := encodeChecked(link)
		if err == nil {
			err = os.WriteFile(filepath.Join(root, c.partition.linkPath(link.BaseOffset)), content, 0o644)
		}
		if err != nil {
			b.Fatal(err)
		}
	}
	return s
}
