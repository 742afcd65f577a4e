package durable

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

func TestCut(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte("what was there"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := Cut(path, 4); err != nil {
		t.Fatal(err)
	}
	if content, err := os.ReadFile(path); err != nil || string(content) != "what" {
		t.Errorf("%q, %v", content, err)
	}
	if err := Cut(path+"er", 0); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("error is %v, want that there is no such file", err)
	}
}

func TestSyncDataOfAClosedFile(t *testing.T) {
	f, err := os.Create(filepath.Join(t.TempDir(), "file"))
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(SyncData(f), f.Close()); err != nil {
		t.Error(err)
	}
	if err := SyncData(f); err == nil {
		t.Error("a closed file was synced")
	}
}

func TestIsFull(t *testing.T) {
	for err, want := range map[error]bool{
		nil: false, syscall.ENOSPC: true, syscall.EDQUOT: true, syscall.EFBIG: true, syscall.EIO: false,
	} {
		if got := IsFull(fmt.Errorf("write: %w", err)); got != want {
			t.Errorf("IsFull(%v) = %t", err, got)
		}
	}
}

// disk can't read one of its pages.
type disk struct {
	content []byte
	bad     int64
}

func (d disk) ReadAt(b []byte, at int64) (int, error) {
	if at/PageSize == d.bad {
		return 0, syscall.EIO
	}
	return bytes.NewReader(d.content).ReadAt(b, at)
}

func TestCopyStretch(t *testing.T) {
	source := filepath.Join(t.TempDir(), "source")
	target := source + ".copy"
	if err := os.WriteFile(source, []byte("what was there"), 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 { // again, it changes nothing
		if err := CopyStretch(source, target, 5, 8, 0o600); err != nil {
			t.Fatal(err)
		}
		if content, err := os.ReadFile(target); err != nil || string(content) != "was" {
			t.Errorf("%q, %v", content, err)
		}
	}
	if err := CopyStretch(source+"r", target, 5, 8, 0o600); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("error is %v, want that there is no such file", err)
	}
}

func TestUnreadablePagesAreZeros(t *testing.T) {
	content := bytes.Repeat([]byte("a"), 5*PageSize)
	want := bytes.Clone(content)
	clear(want[2*PageSize : 3*PageSize])
	for _, tc := range []struct {
		name     string
		from, to int64
	}{
		{"all", 0, 5 * PageSize},
		{"within the bad page", 2*PageSize + 1, 3*PageSize - 1},
		{"around it", PageSize + 7, 4*PageSize + 7},
		{"nothing", 9, 9},
	} {
		got, err := io.ReadAll(&stretch{disk{content, 2}, tc.from, tc.to})
		if err != nil || !bytes.Equal(got, want[tc.from:tc.to]) {
			t.Errorf("%s: %d bytes, %v; or they are others", tc.name, len(got), err)
		}
	}
}
