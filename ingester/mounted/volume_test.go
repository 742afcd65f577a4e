package mounted

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// volume is a directory that changes as the kubelet changes those of Secrets
// and ConfigMaps (k8s.io/kubernetes/pkg/volume/util, AtomicWriter).
type volume struct {
	t          testing.TB
	dir        string
	generation int
}

func newVolume(t testing.TB, content map[string]string) *volume {
	v := &volume{t: t, dir: t.TempDir()}
	v.update(content)
	return v
}

func (v *volume) path(name string) string { return filepath.Join(v.dir, name) }

// update makes content the files of the volume, all at once.
func (v *volume) update(content map[string]string) {
	v.t.Helper()
	before, _ := os.Readlink(v.path("..data"))
	v.generation++
	target := fmt.Sprintf("..2026_03_01_12_00_00.%09d", v.generation)
	v.check(os.Mkdir(v.path(target), 0o755))
	for name, text := range content {
		v.check(os.WriteFile(filepath.Join(v.dir, target, name), []byte(text), 0o644))
	}
	v.check(os.Symlink(target, v.path("..data_tmp")))
	v.check(os.Rename(v.path("..data_tmp"), v.path("..data")))
	for name := range content {
		if _, err := os.Lstat(v.path(name)); err != nil {
			v.check(os.Symlink(filepath.Join("..data", name), v.path(name)))
		}
	}
	if before != "" {
		v.removeAbsent(content)
		v.check(os.RemoveAll(v.path(before)))
	}
}

func (v *volume) removeAbsent(content map[string]string) {
	v.t.Helper()
	entries, err := os.ReadDir(v.dir)
	v.check(err)
	for _, entry := range entries {
		if _, stays := content[entry.Name()]; !stays && entry.Name()[0] != '.' {
			v.check(os.Remove(v.path(entry.Name())))
		}
	}
}

func (v *volume) check(err error) {
	v.t.Helper()
	if err != nil {
		v.t.Fatal(err)
	}
}
