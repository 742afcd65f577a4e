package kill

import (
	"bufio"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
)

// tally is what a reader that knows nothing of chains finds under segments/,
// compared with what was produced.
type tally struct {
	records int // that were produced and are stored, each counted once
	lost    int // that were produced and are not stored
	doubled int // lines that are stored more than once
	strange int // lines that nobody produced, or under a name of another offset
}

// exactly is what it has to find.
func exactly(produced [partitions]int) tally { return tally{records: sum(produced)} }

// readStored fails the test when something can't be read.
func readStored(t *testing.T, s store, topic topic, produced [partitions]int) tally {
	t.Helper()
	found, err := read(s.root, topic.name, produced)
	if err != nil {
		t.Error(err)
	}
	return found
}

// awaitStored returns when everything is stored; whether more than that is,
// the test finds out afterwards.
func awaitStored(t *testing.T, s store, topic topic, produced [partitions]int) {
	t.Helper()
	for deadline := time.Now().Add(4 * time.Minute); ; time.Sleep(500 * time.Millisecond) {
		found, err := read(s.root, topic.name, produced)
		if err == nil && found.lost == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Errorf("gave up waiting for the consumers: %+v, %v", found, err)
			return
		}
	}
}

func read(root, topic string, produced [partitions]int) (tally, error) {
	seen := [partitions][]int{}
	for p, n := range produced {
		seen[p] = make([]int, n)
	}
	var found tally
	err := filepath.WalkDir(filepath.Join(root, "segments"), func(name string, entry fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // nothing is stored yet
		}
		if err != nil || entry.IsDir() {
			return err
		}
		strange, err := readSegment(name, topic, &seen)
		found.strange += strange
		return err
	})
	for _, times := range seen {
		for _, n := range times {
			if n == 0 {
				found.lost++
				continue
			}
			found.records++
			found.doubled += n - 1
		}
	}
	return found, err
}

var segmentName = regexp.MustCompile(`^(.+)-(\d+)-(\d{20})\.ndjson(\.gz|\.zst)?$`)

// readSegment counts the records of a file, which are of one partition and
// follow one another from the offset in its name on.
func readSegment(name, topic string, seen *[partitions][]int) (strange int, err error) {
	parts := segmentName.FindStringSubmatch(filepath.Base(name))
	if parts == nil || parts[1] != topic {
		return 0, fmt.Errorf("%s is no segment of %s", name, topic)
	}
	partition, _ := strconv.Atoi(parts[2])
	offset, _ := strconv.Atoi(parts[3])
	file, err := os.Open(name)
	if err != nil {
		return 0, err
	}
	defer file.Close()
	decoded, err := decode(parts[4], file)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", name, err)
	}
	lines := bufio.NewScanner(decoded)
	for ; lines.Scan(); offset++ {
		var record struct{ Partition, N int }
		known := json.Unmarshal(lines.Bytes(), &record) == nil && record.Partition >= 0 && record.Partition < partitions &&
			record.N >= 0 && record.N < len(seen[record.Partition]) && lines.Text() == line(record.Partition, record.N)
		if known {
			seen[record.Partition][record.N]++
		}
		if !known || record.Partition != partition || record.N != offset {
			strange++
		}
	}
	if err := lines.Err(); err != nil {
		return strange, fmt.Errorf("%s: %w", name, err)
	}
	return strange, nil
}

func decode(suffix string, from io.Reader) (io.Reader, error) {
	switch suffix {
	case ".gz":
		return gzip.NewReader(from)
	case ".zst":
		decoder, err := zstd.NewReader(from, zstd.WithDecoderConcurrency(1))
		if err != nil {
			return nil, err
		}
		return decoder.IOReadCloser(), nil
	default:
		return from, nil
	}
}

// The reader must see what went wrong, or the test above could not fail.
func TestReadSeesEveryFault(t *testing.T) {
	produced := [partitions]int{0, 5}
	lines := func(ns ...int) string {
		var b strings.Builder
		for _, n := range ns {
			b.WriteString(line(1, n) + "\n")
		}
		return b.String()
	}
	const first, second = "logs-1-00000000000000000000.ndjson", "logs-1-00000000000000000003.ndjson"
	for name, tc := range map[string]struct {
		files map[string]string
		want  tally
	}{
		"exact":                    {map[string]string{first: lines(0, 1, 2), second: lines(3, 4)}, tally{records: 5}},
		"nothing stored":           {nil, tally{lost: 5}},
		"a segment lost":           {map[string]string{first: lines(0, 1, 2)}, tally{records: 3, lost: 2}},
		"a record lost at the end": {map[string]string{first: lines(0, 1, 2), second: lines(3)}, tally{records: 4, lost: 1}},
		"a record doubled":         {map[string]string{first: lines(0, 1, 2, 3), second: lines(3, 4)}, tally{records: 5, doubled: 1}},
		"out of order":             {map[string]string{first: lines(0, 2, 1), second: lines(3, 4)}, tally{records: 5, strange: 2}},
		"a byte changed":           {map[string]string{first: lines(0, 1, 2), second: lines(3) + strings.Replace(lines(4), "a", "A", 1)}, tally{records: 4, lost: 1, strange: 1}},
		"a line torn":              {map[string]string{first: lines(0, 1, 2), second: lines(3) + lines(4)[:20]}, tally{records: 4, lost: 1, strange: 1}},
		"a record of nobody":       {map[string]string{first: lines(0, 1, 2), second: lines(3, 4, 5)}, tally{records: 5, strange: 1}},
		"another offset":           {map[string]string{first: lines(0, 1, 2), "logs-1-00000000000000000004.ndjson": lines(3, 4)}, tally{records: 5, strange: 2}},
	} {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			hour := filepath.Join(root, "segments", "dt=2026-11-23", "hour=12")
			if err := os.MkdirAll(hour, 0o755); err != nil {
				t.Fatal(err)
			}
			for name, content := range tc.files {
				if err := os.WriteFile(filepath.Join(hour, name), []byte(content), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if got, err := read(root, "logs", produced); got != tc.want || err != nil {
				t.Errorf("%+v, %v; want %+v", got, err, tc.want)
			}
		})
	}
}
