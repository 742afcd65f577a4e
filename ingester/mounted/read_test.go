package mounted

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestRead(t *testing.T) {
	plain := t.TempDir()
	for name, content := range map[string]string{"b": "2", "a": "1", ".hidden": "x", "sub/c": "x"} {
		path := filepath.Join(plain, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	mount := newVolume(t, map[string]string{"tls.crt": "old", "gone": "x"})
	mount.update(map[string]string{"tls.key": "key", "tls.crt": "certificate"})
	empty := t.TempDir()

	for name, tc := range map[string]struct {
		paths []string
		want  []File
	}{
		"a file":                        {[]string{plain + "/a"}, []File{{plain + "/a", []byte("1"), nil}}},
		"files in the order of paths":   {[]string{plain + "/b", plain + "/a"}, []File{{plain + "/b", []byte("2"), nil}, {plain + "/a", []byte("1"), nil}}},
		"a hidden file that is named":   {[]string{plain + "/.hidden"}, []File{{plain + "/.hidden", []byte("x"), nil}}},
		"a directory, without the rest": {[]string{plain + "/"}, []File{{plain + "/a", []byte("1"), nil}, {plain + "/b", []byte("2"), nil}}},
		"an empty directory":            {[]string{empty}, []File{}},
		"files of a volume":             {[]string{mount.path("tls.crt"), mount.path("tls.key")}, []File{{mount.path("tls.crt"), []byte("certificate"), nil}, {mount.path("tls.key"), []byte("key"), nil}}},
		"a whole volume":                {[]string{mount.dir}, []File{{mount.path("tls.crt"), []byte("certificate"), nil}, {mount.path("tls.key"), []byte("key"), nil}}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := read(tc.paths)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("read(%q) (-want +got):\n%s", tc.paths, diff)
			}
		})
	}
}

func TestReadRefuses(t *testing.T) {
	dir := t.TempDir()
	pipe, large := filepath.Join(dir, "pipe"), filepath.Join(dir, "large")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(large, make([]byte, maxFileBytes+1), 0o600); err != nil {
		t.Fatal(err)
	}
	broken := filepath.Join(dir, "broken")
	if err := os.Symlink("nowhere", broken); err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct{ path, want string }{
		"a file that isn't there":  {dir + "/absent", dir + "/absent: no such file or directory"},
		"a directory without it":   {dir + "/absent/tls.crt", dir + "/absent/tls.crt: no such file or directory"},
		"a link to nowhere":        {broken, broken + ": no such file or directory"},
		"a pipe":                   {pipe, pipe + ": it is no regular file"},
		"more than a Secret holds": {large, large + ": it is larger than 1048576 bytes"},
		"a path through a file":    {large + "/x", "not a directory"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := read([]string{tc.path})
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("read(%q) = %v, want an error with %q", tc.path, err, tc.want)
			}
		})
	}
}

// What can't be read in a directory says so, and hides nothing of the rest.
func TestReadLeavesOutWhatItCannotReadOfADirectory(t *testing.T) {
	dir := t.TempDir()
	err := errors.Join(os.Symlink("nowhere", filepath.Join(dir, "broken")), os.WriteFile(filepath.Join(dir, "good"), []byte("1"), 0o600))
	if err != nil {
		t.Fatal(err)
	}
	files, err := read([]string{dir})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, f := range files {
		got = append(got, fmt.Sprintf("%s=%s %v", filepath.Base(f.Path), f.Content, f.Err))
	}
	want := []string{"broken= read " + dir + "/broken: no such file or directory", "good=1 <nil>"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("read (-want +got):\n%s", diff)
	}
}

// However the volume changes while it is read, files of two generations are
// never seen together, and a generation that has gone is no error.
func TestReadNeverMixesGenerations(t *testing.T) {
	const generations = 300
	mount := newVolume(t, map[string]string{"a": "first", "b": "first"})
	updated := make(chan struct{})
	go func() {
		defer close(updated)
		for i := range generations {
			content := strings.Repeat("x", i)
			mount.update(map[string]string{"a": content, "b": content})
		}
	}()
	for reads := 0; ; reads++ {
		files, err := read([]string{mount.path("a"), mount.path("b")})
		if err != nil {
			t.Errorf("read %d: %v", reads, err)
		} else if string(files[0].Content) != string(files[1].Content) {
			t.Errorf("read %d mixes %d bytes of one generation and %d of another", reads, len(files[0].Content), len(files[1].Content))
		}
		select {
		case <-updated:
			return
		default:
		}
		if t.Failed() {
			<-updated
			return
		}
	}
}
