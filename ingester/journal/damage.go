package journal

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/logpipeline/logpipeline/ingester/durable"
)

// corruptDir holds what could not be read, below the journal: beside each
// stretch a file that says why.
const corruptDir = "corrupt"

func (d damage) String() string { return fmt.Sprintf("bytes %d to %d: %s", d.from, d.to, d.reason) }

// reportDamage counts and logs a damage, and sets it aside. With an error it
// isn't set aside, and the file has to stay.
func (j *Journal) reportDamage(f *file, d damage) error {
	name := filepath.Join(j.options.Dir, corruptDir, fmt.Sprintf("%020d-%d-%d", f.number, d.from, d.to))
	if _, err := os.Lstat(name + ".reason"); err == nil {
		return nil // by an earlier reading
	}
	if err := setAside(f, d, name); err != nil {
		return fmt.Errorf("set a damaged stretch of %s aside: %w", f.path, err)
	}
	j.mu.Lock()
	j.stored += d.to - d.from
	j.mu.Unlock()
	j.metrics.damaged.Add(float64(d.to - d.from))
	j.logger.Error("the journal is damaged; what can be read is stored, a copy of the rest is kept", "file", f.path, "damage", d.String(), "kept", name)
	return nil
}

// setAside keeps a copy of the damaged stretch, durably.
func setAside(f *file, d damage, name string) error {
	dir := filepath.Dir(name)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	err := durable.CopyStretch(f.path, name, d.from, d.to, 0o600)
	if err == nil {
		err = durable.Overwrite(name+".reason", fmt.Appendf(nil, "%s: %s\n", filepath.Base(f.path), d), 0o600)
	}
	if err == nil {
		err = errors.Join(durable.SyncDir(dir), durable.SyncDir(filepath.Dir(dir)))
	}
	return err
}

// corruptBytes is how much has been set aside so far.
func corruptBytes(dir string) (total int64, err error) {
	return durable.FilesSize(filepath.Join(dir, corruptDir))
}
