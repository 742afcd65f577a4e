package durable

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// contents are the files of a directory.
func contents(t *testing.T, dir string) map[string]string {
	t.Helper()
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for _, f := range files {
		content, err := os.ReadFile(filepath.Join(dir, f.Name()))
		if err != nil {
			t.Fatal(err)
		}
		all[f.Name()] = string(content)
	}
	return all
}

func TestWriting(t *testing.T) {
	broken := errors.New("broken")
	writes := func(content string, err error) func(io.Writer) error {
		return func(w io.Writer) error {
			_, writeErr := io.WriteString(w, content)
			return errors.Join(writeErr, err)
		}
	}
	for _, tc := range []struct {
		name  string
		write func(path string) error
		want  map[string]string
		err   error
	}{
		{"create a file that is there", func(path string) error { return Create(path, []byte("b"), 0o644) }, map[string]string{"old": "what was there"}, fs.ErrExist},
		{"create another", func(path string) error { return Create(path+"er", []byte("b"), 0o644) }, map[string]string{"old": "what was there", "older": "b"}, nil},
		{"overwrite a file that is there", func(path string) error { return Overwrite(path, []byte("b"), 0o600) }, map[string]string{"old": "b"}, nil},
		{"overwrite another", func(path string) error { return Overwrite(path+"er", nil, 0o600) }, map[string]string{"old": "what was there", "older": ""}, nil},
		{"replace a file that is there", func(path string) error { return Replace(path, ".tmp", writes("b", nil)) }, map[string]string{"old": "b"}, nil},
		{"replace another", func(path string) error { return Replace(path+"er", ".tmp", writes("b", nil)) }, map[string]string{"old": "what was there", "older": "b"}, nil},
		{"fail to replace", func(path string) error { return Replace(path, ".tmp", writes("b", broken)) }, map[string]string{"old": "what was there"}, broken},
		{"write where there is no directory", func(path string) error { return Create(filepath.Join(path+"er", "x"), nil, 0o644) }, map[string]string{"old": "what was there"}, fs.ErrNotExist},
		{"replace where there is no directory", func(path string) error { return Replace(filepath.Join(path+"er", "x"), ".tmp", writes("b", nil)) }, map[string]string{"old": "what was there"}, fs.ErrNotExist},
	} {
		t.Run(tc.name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "old")
			if err := os.WriteFile(path, []byte("what was there"), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := tc.write(path); !errors.Is(err, tc.err) {
				t.Errorf("error %v, want %v", err, tc.err)
			}
			if diff := cmp.Diff(tc.want, contents(t, dir)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestPermissions(t *testing.T) {
	dir := t.TempDir()
	modes := map[string]string{}
	for name, write := range map[string]func(path string) error{
		"created":  func(path string) error { return Create(path, nil, 0o640) },
		"replaced": func(path string) error { return Replace(path, ".tmp", func(io.Writer) error { return nil }) },
	} {
		path := filepath.Join(dir, name)
		if err := write(path); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		modes[name] = fmt.Sprint(info.Mode())
	}
	if diff := cmp.Diff(map[string]string{"created": "-rw-r-----", "replaced": "-rw-------"}, modes); diff != "" {
		t.Error(diff)
	}
}

// While a file is written to be replaced, its name ends as the caller said.
func TestReplaceWritesBesideTheFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "file")
	err := Replace(path, ".tmp", func(w io.Writer) error {
		during, err := filepath.Glob(path + "*.tmp")
		if err != nil || len(during) != 1 {
			t.Errorf("while it is written: %v, %v", during, err)
		}
		_, err = io.WriteString(w, "content")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]string{"file": "content"}, contents(t, dir)); diff != "" {
		t.Error(diff)
	}
}

func TestSyncDir(t *testing.T) {
	if err := SyncDir(t.TempDir()); err != nil {
		t.Error(err)
	}
	if err := SyncDir(filepath.Join(t.TempDir(), "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("error %v", err)
	}
}
