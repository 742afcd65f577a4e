package spool

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
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
	source, err := os.Open(from)
	if err != nil {
		return err
	}
	defer func() { _ = source.Close() }()
	target, err := os.OpenFile(to, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	n, _ := io.Copy(target, &readableStretch{source, d.from, d.to})
	err = errors.Join(target.Sync(), target.Close())
	if info, statErr := os.Stat(to); err == nil && (statErr != nil || info.Size() != n || n != d.to-d.from) {
		err = fmt.Errorf("%d of %d bytes were copied to %s", n, d.to-d.from, to)
	}
	return err
}

// readableStretch reads a stretch of a file, with zeros for what the disk
// can't read.
type readableStretch struct {
	file     *os.File
	from, to int64
}

func (s *readableStretch) Read(b []byte) (int, error) {
	if s.from >= s.to {
		return 0, io.EOF
	}
	b = b[:min(int64(len(b)), pageSize-s.from%pageSize, s.to-s.from)]
	if n, err := s.file.ReadAt(b, s.from); err != nil {
		clear(b[n:])
	}
	s.from += int64(len(b))
	return len(b), nil
}

// corruptBytes is how much has been set aside so far.
func corruptBytes(dir string) (total int64, err error) {
	files, err := os.ReadDir(filepath.Join(dir, corruptDir))
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	for _, f := range files {
		info, err := f.Info()
		if err != nil {
			return 0, err
		}
		total += info.Size()
	}
	return total, err
}
