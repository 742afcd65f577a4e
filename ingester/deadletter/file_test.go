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
		letters := []record.DeadLetter{d, cluster{logs: "logs"}.newLetter("beside it", 0, 2)}
		file, err := encodeFile(letters)
		if err != nil {
			t.Fatal(err)
		}
		got, err := decodeFile(file)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if diff := cmp.Diff(letters, got); diff != "" {
			t.Errorf("%s (-put +read):\n%s", name, diff)
		}
	}
}

// Whatever a file holds: an error or a letter, no panic; and every changed byte
// is noticed.
func FuzzFile(f *testing.F) {
	c := cluster{logs: "logs"}
	file, err := encodeFile([]record.DeadLetter{c.newLetter("a.b", 3, 2), c.newLetter("c", 0, 1)})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(file, 0, byte(0))
	f.Add(file, len(file)/2, byte(1))
	f.Fuzz(func(t *testing.T, file []byte, at int, change byte) {
		letters, err := decodeFile(file)
		if err != nil {
			if !errors.Is(err, ErrCorrupt) {
				t.Fatal(err)
			}
			return
		}
		if len(letters) == 0 {
			t.Fatal("a file without letters")
		}
		for _, d := range letters {
			if len(d.Records) == 0 {
				t.Fatal("a letter without records")
			}
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
	one, err := encodeFile([]record.DeadLetter{c.newLetter("batch-0", 0, 10)})
	if err != nil {
		t.Fatal(err)
	}
	f, err := openFolder(dir, 3*int64(len(one)))
	if err != nil {
		t.Fatal(err)
	}
	for _, batch := range []string{"batch-0", "batch-1", "batch-2"} {
		putAlone(t, f, c.newLetter(batch, 0, 10))
	}
	if err := errors.Join(f.put([]record.DeadLetter{c.newLetter("b", 0, 1)})...); !errors.Is(err, ErrFull) {
		t.Errorf("one more than fits: %v", err)
	}
	if bytes, files := f.usage(); bytes != f.max || files != 3 || bytes != sizeOf(t, dir) {
		t.Errorf("%d bytes in %d files, %d on disk; want %d in 3", bytes, files, sizeOf(t, dir), f.max)
	}
	if err := removeFile(filepath.Join(dir, fileName([]record.DeadLetter{c.newLetter("batch-1", 0, 10)}))); err != nil { // by another process
		t.Fatal(err)
	}
	putAlone(t, f, c.newLetter("batch-3", 0, 10)) // after one was taken out
	again, err := openFolder(dir, f.max)
	if err != nil {
		t.Fatal(err)
	}
	if bytes, files := again.usage(); bytes != f.max || files != 3 {
		t.Errorf("opened again: %d bytes in %d files", bytes, files)
	}
}

// Of letters that are put together, those are kept that fit.
func TestFolderKeepsWhatFits(t *testing.T) {
	c := cluster{logs: "logs"}
	f, err := openFolder(t.TempDir(), 1500)
	if err != nil {
		t.Fatal(err)
	}
	errs := f.put([]record.DeadLetter{c.newLetter("a", 0, 1), c.newLetter("large", 0, 100), c.newLetter("b", 0, 1)})
	if len(errs) != 3 || errs[0] != nil || !errors.Is(errs[1], ErrFull) || errs[2] != nil {
		t.Errorf("got %v", errs)
	}
	inv, err := Scan(t.Context(), nil, "", f.dir)
	if err != nil || len(inv.Letters) != 2 || inv.Letters[0].Batch != "a" || inv.Letters[1].Batch != "b" {
		t.Errorf("%+v, %v", inv, err)
	}
	if bytes, files := f.usage(); files != 1 || bytes != sizeOf(t, f.dir) {
		t.Errorf("%d bytes in %d files, %d on disk", bytes, files, sizeOf(t, f.dir))
	}
}

// Letters put twice are there once.
func TestFolderKeepsALetterOnce(t *testing.T) {
	c := cluster{logs: "logs"}
	f, err := openFolder(filepath.Join(t.TempDir(), "made"), 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		putAlone(t, f, c.newLetter("b", 0, 10))
	}
	putAlone(t, f, c.newLetter("b", 0, 5)) // another, of fewer records
	if bytes, files := f.usage(); files != 2 || bytes != sizeOf(t, f.dir) {
		t.Errorf("%d bytes in %d files, %d on disk", bytes, files, sizeOf(t, f.dir))
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
	if bytes, files := f.usage(); bytes != 4 || files != 0 {
		t.Errorf("%d bytes in %d files", bytes, files)
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
