package durable

import (
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
)

// SyncData makes the file's content and size durable (fdatasync).
func SyncData(f *os.File) error {
	for {
		err := syscall.Fdatasync(int(f.Fd()))
		if errors.Is(err, syscall.EINTR) {
			continue
		}
		if err != nil {
			return fmt.Errorf("sync %s: %w", f.Name(), err)
		}
		return nil
	}
}

// Cut shortens a file durably. What is preallocated behind its end goes, even
// where its size stays as it is.
func Cut(path string, size int64) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	err = f.Truncate(size)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// IsFull tells a disk without room from one that fails.
func IsFull(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) || errors.Is(err, syscall.EFBIG)
}

// CopyStretch copies the bytes of source from an offset up to another into
// target, a file that it makes or replaces, with zeros for what the disk can't
// read. The content is durable when it returns nil, and the name once the
// directory is synced. The errors are those of the file system, of reading apart.
func CopyStretch(source, target string, from, to int64, perm os.FileMode) error {
	file, err := os.Open(source)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }() // it was only read
	into, err := os.OpenFile(target, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, perm)
	if err != nil {
		return err
	}
	_, err = io.Copy(into, &stretch{file, from, to})
	if err == nil {
		err = into.Sync()
	}
	return errors.Join(err, into.Close())
}

// stretch reads a stretch of a file, whatever the disk can read of it.
type stretch struct {
	file     io.ReaderAt
	from, to int64
}

func (s *stretch) Read(b []byte) (int, error) {
	if s.from >= s.to {
		return 0, io.EOF
	}
	b = b[:min(int64(len(b)), PageSize-s.from%PageSize, s.to-s.from)]
	if n, err := s.file.ReadAt(b, s.from); err != nil {
		clear(b[n:])
	}
	s.from += int64(len(b))
	return len(b), nil
}
