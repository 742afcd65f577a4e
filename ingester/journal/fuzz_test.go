package journal

import (
	"encoding/binary"
	"hash/crc32"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/logpipeline/logpipeline/ingester/durable"
	"github.com/logpipeline/logpipeline/ingester/record"
)

func appendChecksum(b []byte) []byte {
	return binary.LittleEndian.AppendUint32(nil, crc32.Checksum(b, castagnoli))
}

// batchesOf are test batches.
func batchesOf(t testing.TB, n int) (batches []*record.Batch) {
	t.Helper()
	for i := range n {
		b := record.NewBatch("batch")
		if err := record.ParseNDJSON(b, []byte(strings.Join(linesFrom(i, i+1, 1+i%3), "\n")), record.Limits{MaxRecordBytes: 1 << 20, MaxDepth: 2}); err != nil {
			t.Fatal(err)
		}
		b.Received = at(i)
		batches = append(batches, b)
	}
	return batches
}

// written is a file with test batches.
func written(t testing.TB, n int) []byte {
	t.Helper()
	a := appender{dir: t.TempDir(), dataSync: durable.SyncData}
	if err := a.rotate(); err != nil {
		t.Fatal(err)
	}
	for _, b := range batchesOf(t, n) {
		a.append(b)
	}
	if err := a.sync(); err != nil {
		t.Fatal(err)
	}
	a.release()
	content, err := os.ReadFile(filePath(a.dir, 1))
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// readAll reads a file as the storer does, and returns the lines by their
// offsets.
func readAll(t *testing.T, j *Journal) (lines map[int64]string, end int64) {
	t.Helper()
	lines = map[int64]string{}
	c := cursor{journal: j}
	defer c.close()
	next := int64(0)
	for {
		f, more, end, err := c.next(next)
		if err != nil {
			t.Fatal(err)
		}
		if !more {
			return lines, end
		}
		err = f.lines(next, func(run []byte, span record.Span) error {
			for i, line := range strings.SplitAfter(strings.TrimSuffix(string(run), "\n"), "\n") {
				lines[span.BaseOffset+int64(i)] = strings.TrimSuffix(line, "\n")
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		next = f.next()
		c.advance(f)
	}
}

// memoryDir is a folder without a disk, where there is one: fuzzing is not for
// waiting.
func memoryDir(t *testing.T) string {
	dir, err := os.MkdirTemp("/dev/shm", "journal-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// FuzzFile opens and reads whatever stands in a file: it comes to an end, stays
// within the journal's offsets, and reading it once more gives the same.
func FuzzFile(f *testing.F) {
	whole := written(f, 8)
	f.Add(whole)
	f.Add(whole[:len(whole)-9])
	f.Add(whole[:fileHeaderSize-1])
	f.Add(append(append([]byte{}, whole...), make([]byte, 100)...))
	f.Add(append(append([]byte{}, whole[:200]...), whole[150:]...))
	f.Fuzz(func(t *testing.T, content []byte) {
		dir := memoryDir(t)
		if err := os.WriteFile(filePath(dir, 1), content, 0o600); err != nil {
			t.Fatal(err)
		}
		j, err := Open(Options{Dir: dir, MaxBytes: 1 << 30}, nil, quiet(), newRegistry())
		if err != nil {
			return // a newer version
		}
		lines, end := readAll(t, j)
		for offset := range lines {
			if offset < 0 || offset >= j.end || end != j.end {
				t.Errorf("there is a record at offset %d, but the journal ends at %d, its reading at %d", offset, j.end, end)
			}
		}
		again, err := Open(Options{Dir: dir, MaxBytes: 1 << 30}, nil, quiet(), newRegistry())
		if err != nil {
			t.Fatal(err)
		}
		second, secondEnd := readAll(t, again)
		if diff := cmp.Diff(lines, second); diff != "" || end != secondEnd {
			t.Errorf("read again, up to %d and %d (-first +second):\n%s", end, secondEnd, diff)
		}
	})
}

// FuzzFlip flips bits of one byte: no more than the batch that it stands in is
// lost, none is changed, and what is lost is set aside.
func FuzzFlip(f *testing.F) {
	whole := written(f, 8)
	want := map[int64]string{}
	var first []int64
	for _, b := range batchesOf(f, 8) {
		first = append(first, int64(len(want)))
		for i := range b.Len() {
			want[int64(len(want))] = string(b.Record(i))
		}
	}
	first = append(first, int64(len(want)))
	f.Add(uint16(0), byte(1))
	f.Add(uint16(fileHeaderSize), byte(0xff))
	f.Add(uint16(fileHeaderSize+headerSize+3), byte(1))
	f.Add(uint16(len(whole)-1), byte(1))
	f.Fuzz(func(t *testing.T, at uint16, bits byte) {
		if int(at) >= len(whole) || bits == 0 {
			return
		}
		dir := memoryDir(t)
		content := append([]byte{}, whole...)
		content[at] ^= bits
		if err := os.WriteFile(filePath(dir, 1), content, 0o600); err != nil {
			t.Fatal(err)
		}
		j, err := Open(Options{Dir: dir, MaxBytes: 1 << 30}, nil, quiet(), newRegistry())
		if err != nil {
			t.Fatal(err)
		}
		got, _ := readAll(t, j)
		lost := 0
		for i := range 8 {
			missing := 0
			for offset := first[i]; offset < first[i+1]; offset++ {
				if line, there := got[offset]; !there {
					missing++
				} else if line != want[offset] {
					t.Errorf("offset %d has %q, want %q", offset, line, want[offset])
				}
			}
			if missing > 0 {
				lost++
			}
		}
		if lost > 1 || len(got) > len(want) {
			t.Errorf("%d batches are lost, %d records read", lost, len(got))
		}
		if kept, err := filepath.Glob(filepath.Join(dir, corruptDir, "*.reason")); err != nil || len(kept) != 1 {
			t.Errorf("set aside: %v, %v", kept, err)
		}
	})
}
