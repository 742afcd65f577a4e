package segment

import (
	stdgzip "compress/gzip"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/logpipeline/logpipeline/ingester/config"
)

var segmentCodecs = []config.Compression{config.CompressionNone, config.CompressionGzip, config.CompressionZstd}

// oneSegment stores the offsets 5 to 104 in one segment, and returns its link.
func oneSegment(t testing.TB, dir string, compression config.Compression) Link {
	t.Helper()
	c := openChain(t, openCompressed(t, dir, compression))
	appendRecords(t, c, 100)
	seal(t, c)
	link, err := readLink(t.Context(), c.store.files, c.partition, 5)
	if err != nil {
		t.Fatal(err)
	}
	return link
}

func TestWritersOfDifferentCodecsShareOneChain(t *testing.T) {
	dir := t.TempDir()
	for range 2 {
		for _, compression := range segmentCodecs {
			c := openChain(t, openCompressed(t, dir, compression))
			for range 2 { // the second one in an encoder that was used before
				appendRecords(t, c, 100)
				seal(t, c)
			}
		}
	}
	expectExact(t, dir, 5+12*100)
	report := expectProblems(t, dir)
	if want, _ := numbered(5, 1200, noon); report.UncompressedBytes != int64(len(want)) || report.Bytes >= report.UncompressedBytes {
		t.Errorf("%d bytes store lines of %d bytes, want %d", report.Bytes, report.UncompressedBytes, len(want))
	}
}

func TestCompressedSegmentsHaveTheNamesThatToolsExpect(t *testing.T) {
	lines, _ := numbered(5, 100, noon)
	for compression, suffix := range map[config.Compression]string{"": ".ndjson", "none": ".ndjson", "gzip": ".ndjson.gz", "zstd": ".ndjson.zst"} {
		t.Run(string(compression), func(t *testing.T) {
			dir := t.TempDir()
			link := oneSegment(t, dir, compression)
			if want := hour + "orders-0-00000000000000000005" + suffix; link.DataPath != want {
				t.Errorf("data path is %q, want %q", link.DataPath, want)
			}
			info, err := os.Stat(filepath.Join(dir, link.DataPath))
			if err != nil {
				t.Fatal(err)
			}
			if got, want := [2]int64{link.Bytes, link.UncompressedBytes}, [2]int64{info.Size(), int64(len(lines))}; got != want {
				t.Errorf("stored and uncompressed bytes are %v, want %v", got, want)
			}
		})
	}
}

func TestGzipIsReadByTheStandardLibrary(t *testing.T) {
	dir := t.TempDir()
	link := oneSegment(t, dir, config.CompressionGzip)
	f, err := os.Open(filepath.Join(dir, link.DataPath))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	r, err := stdgzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(r)
	want, _ := numbered(5, 100, noon)
	if diff := cmp.Diff(string(want), string(got)); err != nil || diff != "" {
		t.Errorf("error %v (-want +got):\n%s", err, diff)
	}
}

// TestVerifyFindsAnyChangedByte changes every byte of a segment in turn.
func TestVerifyFindsAnyChangedByte(t *testing.T) {
	for _, compression := range segmentCodecs {
		t.Run(string(compression), func(t *testing.T) {
			dir := t.TempDir()
			link := oneSegment(t, dir, compression)
			path := filepath.Join(dir, link.DataPath)
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			for i := range data {
				data[i] ^= 1
				if err := os.WriteFile(path, data, 0o644); err != nil {
					t.Fatal(err)
				}
				expectProblems(t, dir, link.DataPath+": a byte has changed")
				data[i] ^= 1
			}
		})
	}
}

func TestVerifyFindsDamageOfCompressedData(t *testing.T) {
	for _, compression := range segmentCodecs[1:] {
		for name, test := range map[string]struct {
			change func([]byte) []byte
			want   string
		}{
			"truncated":          {func(b []byte) []byte { return b[:len(b)-1] }, "bytes, but its link says"},
			"lengthened":         {func(b []byte) []byte { return append(b, 0) }, "bytes, but its link says"},
			"another's data":     {func(b []byte) []byte { return []byte(strings.Repeat("x", len(b))) }, "a byte has changed"},
			"empty":              {func([]byte) []byte { return nil }, "has 0 bytes"},
			"the stream twice":   {func(b []byte) []byte { return append(b, b...) }, "bytes, but its link says"},
			"lines as they were": {func([]byte) []byte { return []byte("{}\n") }, "has 3 bytes"},
		} {
			t.Run(string(compression)+" "+name, func(t *testing.T) {
				dir := t.TempDir()
				link := oneSegment(t, dir, compression)
				edit(t, filepath.Join(dir, link.DataPath), test.change)
				expectProblems(t, dir, link.DataPath+": "+test.want)
			})
		}
		t.Run(string(compression)+" link of other lines", func(t *testing.T) {
			dir := t.TempDir()
			link := oneSegment(t, dir, compression)
			editLink(t, filepath.Join(dir, link5), func(l *Link) { l.UncompressedBytes++ })
			expectProblems(t, dir, link.DataPath+": has lines of")
		})
	}
}

func TestDataOfAnotherCodecThanItsLinkSays(t *testing.T) {
	dir := t.TempDir()
	link := oneSegment(t, dir, config.CompressionGzip)
	other := strings.TrimSuffix(link.DataPath, ".gz") + ".zst"
	if err := os.Rename(filepath.Join(dir, link.DataPath), filepath.Join(dir, other)); err != nil {
		t.Fatal(err)
	}
	editLink(t, filepath.Join(dir, link5), func(l *Link) { l.Codec, l.DataPath = codecZstd, other })
	expectProblems(t, dir, other+": cannot be decompressed")
	for line, err := range Records(t.Context(), dir, testTopic, 0) {
		if err == nil || !strings.Contains(err.Error(), other) {
			t.Errorf("line %q, error %v", line.Bytes, err)
		}
	}
}

func TestOpenDirectoryRefusesOtherCodecs(t *testing.T) {
	_, err := OpenDirectory(t.TempDir(), config.Segment{Compression: config.CompressionSnappy}, nil, nil)
	if err == nil || !strings.Contains(err.Error(), `segment.compression is "snappy": choose none, gzip or zstd`) {
		t.Errorf("error is %v", err)
	}
}

func TestAppendAllocatesNothing(t *testing.T) {
	for _, compression := range segmentCodecs {
		t.Run(string(compression), func(t *testing.T) {
			c := openChain(t, openCompressed(t, t.TempDir(), compression))
			lines, span := logLines(5, 1000)
			allocations := testing.AllocsPerRun(100, func() {
				if err := c.Append(lines, span); err != nil {
					t.Fatal(err)
				}
				span.BaseOffset, span.NextOffset = span.NextOffset, span.NextOffset+span.Records
			})
			// The list of batches in the link grows now and then.
			if allocations > 1 {
				t.Errorf("%v allocations for 1000 records", allocations)
			}
			if err := c.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestCompressionOnADiskThatIsFull(t *testing.T) {
	for _, compression := range segmentCodecs[1:] {
		t.Run(string(compression), func(t *testing.T) {
			dir := t.TempDir()
			d := openCompressed(t, dir, compression)
			c := openChain(t, d)
			appendRecords(t, c, 1)
			if err := c.pending.data.(*stagedFile).Close(); err != nil { // every write fails from here on
				t.Fatal(err)
			}
			if _, err := c.Seal(t.Context()); !errors.Is(err, os.ErrClosed) {
				t.Fatalf("error is %v", err)
			}
			if err := c.Close(); err != nil {
				t.Fatal(err)
			}
			c = openChain(t, d) // takes the same encoder
			appendRecords(t, c, 2)
			seal(t, c)
			expectExact(t, dir, 7)
		})
	}
}
