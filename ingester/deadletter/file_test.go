package deadletter

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/logpipeline/logpipeline/ingester/record"
)

func TestFileRoundTrip(t *testing.T) {
	for name, d := range map[string]record.DeadLetter{
		"one":  cluster{logs: "logs"}.newLetter("a.b", 0, 1),
		"many": cluster{logs: "logs"}.newLetter("name/with\nall..sorts", 1000, 300),
		"headers, null and empty": {
			Batch: "b", Topic: "t", Partition: -1, Unknown: true, Received: noon, Time: noon.Add(time.Second),
			Records: [][]byte{{}, []byte("x")}, Headers: []record.Header{{Key: "a", Value: nil}, {Key: "b", Value: []byte{}}, {Key: "c", Value: []byte{0xff}}},
		},
	} {
		file, err := encodeFile(d)
		if err != nil {
			t.Fatal(err)
		}
		got, err := decodeFile(file)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if diff := cmp.Diff(d, got); diff != "" {
			t.Errorf("%s (-put +read):\n%s", name, diff)
		}
	}
}

// Whatever a file holds: an error or a letter, no panic; and every changed byte
// is noticed.
func FuzzFile(f *testing.F) {
	file, err := encodeFile(cluster{logs: "logs"}.newLetter("a.b", 3, 2))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(file, 0, byte(0))
	f.Add(file, len(file)/2, byte(1))
	f.Fuzz(func(t *testing.T, file []byte, at int, change byte) {
		d, err := decodeFile(file)
		if err != nil {
			if !errors.Is(err, ErrCorrupt) {
				t.Fatal(err)
			}
			return
		}
		if len(d.Records) == 0 {
			t.Fatal("a letter without records")
		}
		if change != 0 && at >= 0 && at < len(file) {
			changed := bytes.Clone(file)
			changed[at] ^= change
			if _, err := decodeFile(changed); !errors.Is(err, ErrCorrupt) {
				t.Fatalf("byte %d changed: %v", at, err)
			}
		}
	})
}

// The folder is full at its bound to the byte, and has room again for what is
// taken out.
func TestFolderIsBounded(t *testing.T) {
	c := cluster{logs: "logs"}
	dir := t.TempDir()
	one, err := encodeFile(c.newLetter("batch-0", 0, 10))
	if err != nil {
		t.Fatal(err)
	}
	f, err := openFolder(dir, 3*int64(len(one)))
	if err != nil {
		t.Fatal(err)
	}
	for _, batch := range []string{"batch-0", "batch-1", "batch-2"} {
		if err := f.put(c.newLetter(batch, 0, 10)); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.put(c.newLetter("b", 0, 1)); !errors.Is(err, ErrFull) {
		t.Errorf("one more than fits: %v", err)
	}
	if bytes, letters := f.usage(); bytes != f.max || letters != 3 || bytes != sizeOf(t, dir) {
		t.Errorf("%d bytes in %d letters, %d on disk; want %d in 3", bytes, letters, sizeOf(t, dir), f.max)
	}
	if err := removeFile(filepath.Join(dir, fileName(letterOf(c.newLetter("batch-1", 0, 10))))); err != nil { // by another process
		t.Fatal(err)
	}
	if err := f.put(c.newLetter("batch-3", 0, 10)); err != nil {
		t.Errorf("after one was taken out: %v", err)
	}
	again, err := openFolder(dir, f.max)
	if err != nil {
		t.Fatal(err)
	}
	if bytes, letters := again.usage(); bytes != f.max || letters != 3 {
		t.Errorf("opened again: %d bytes in %d letters", bytes, letters)
	}
}

// A letter put twice is there once.
func TestFolderKeepsALetterOnce(t *testing.T) {
	c := cluster{logs: "logs"}
	f, err := openFolder(filepath.Join(t.TempDir(), "made"), 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := f.put(c.newLetter("b", 0, 10)); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.put(c.newLetter("b", 0, 5)); err != nil { // another, of fewer records
		t.Fatal(err)
	}
	if bytes, letters := f.usage(); letters != 2 || bytes != sizeOf(t, f.dir) {
		t.Errorf("%d bytes in %d letters, %d on disk", bytes, letters, sizeOf(t, f.dir))
	}
}

// What a crash left half written goes, once nobody can be writing it any more,
// and is never taken for a letter.
func TestFolderAfterACrash(t *testing.T) {
	dir := t.TempDir()
	old, fresh := filepath.Join(dir, "1"+temporarySuffix), filepath.Join(dir, "2"+temporarySuffix)
	for _, path := range []string{old, fresh} {
		if err := os.WriteFile(path, []byte("half"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	long := time.Now().Add(-time.Hour)
	if err := os.Chtimes(old, long, long); err != nil {
		t.Fatal(err)
	}
	f, err := openFolder(dir, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	if bytes, letters := f.usage(); bytes != 4 || letters != 0 {
		t.Errorf("%d bytes in %d letters", bytes, letters)
	}
	if paths, err := files(dir); len(paths) != 0 || err != nil {
		t.Errorf("%v, %v", paths, err)
	}
	if _, err := os.Stat(old); !os.IsNotExist(err) {
		t.Errorf("the old one is still there: %v", err)
	}
}

func sizeOf(t *testing.T, dir string) (bytes int64) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		info, err := entry.Info()
		if err != nil {
			t.Fatal(err)
		}
		bytes += info.Size()
	}
	return bytes
}
