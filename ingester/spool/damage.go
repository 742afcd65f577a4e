package spool

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/logpipeline/logpipeline/ingester/durable"
)

// damageError is a damage as it is found.
type damageError struct{ damage damage }

func (e *damageError) Error() string { return e.damage.describe() }

func (d damage) describe() string {
	lost := ""
	if n := d.lost.to - d.lost.from; n == 1 {
		lost = fmt.Sprintf("; the batch at position %d is lost", d.lost.from)
	} else if n > 1 {
		lost = fmt.Sprintf("; the %d batches at positions %d to %d are lost", n, d.lost.from, d.lost.to-1)
	}
	if d.to == 0 {
		return d.reason + lost
	}
	return fmt.Sprintf("bytes %d to %d: %s%s", d.from, d.to, d.reason, lost)
}

// corruptDir holds what could not be read, below the spool: beside each
// stretch a file that says why.
const corruptDir = "corrupt"

// reasonSuffix is that of the files that say why.
const reasonSuffix = ".reason"

// setAside keeps a copy of the damaged stretch of a segment, durably, before
// the segment itself may go; doing it again changes nothing.
func setAside(dir string, s *segment, d damage) error {
	name := filepath.Join(dir, corruptDir, fmt.Sprintf("%020d-%d-%d", s.number, d.from, d.to))
	if _, err := os.Lstat(name + reasonSuffix); err == nil {
		return nil
	}
	err := copyStretch(s.path, name, d)
	if err == nil {
		err = durable.Overwrite(name+reasonSuffix, fmt.Appendf(nil, "%s: %s\n", filepath.Base(s.path), d.describe()), 0o600)
	}
	if err == nil {
		err = durable.SyncDir(filepath.Join(dir, corruptDir))
	}
	if err != nil {
		return fmt.Errorf("set a damaged stretch of %s aside: %w", s.path, err)
	}
	return nil
}

// copyStretch copies as much of the stretch as can be read. Of a segment that
// isn't there at all, it copies nothing.
func copyStretch(from, to string, d damage) error {
	if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
		return err
	}
	if d.to == d.from {
		return nil
	}
	return durable.CopyStretch(from, to, d.from, d.to, 0o600)
}

// corruptBytes is how much has been set aside so far.
func corruptBytes(dir string) (total int64, err error) {
	return durable.FilesSize(filepath.Join(dir, corruptDir))
}
