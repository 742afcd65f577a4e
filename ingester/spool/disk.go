package spool

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/logpipeline/logpipeline/ingester/durable"
)

// lockName is the file whose lock is held while a spool is open. It is an open
// file description lock (fcntl(2)): the kernel lets go of it when the process
// dies.
const lockName = "lock"

// ErrLocked refuses a spool that another process has open.
var ErrLocked = errors.New("the spool is in use")

const (
	getLock = 36 // F_OFD_GETLK
	setLock = 37 // F_OFD_SETLK
)

// lock takes the directory for this process, until the file is closed.
func lock(dir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, lockName), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	err = syscall.FcntlFlock(f.Fd(), setLock, &syscall.Flock_t{Type: syscall.F_WRLCK})
	if errors.Is(err, syscall.EAGAIN) || errors.Is(err, syscall.EACCES) {
		holder, _ := io.ReadAll(io.LimitReader(f, 32))
		err = fmt.Errorf("%w by process %s: give each process a directory of its own", ErrLocked, strings.TrimSpace(string(holder)))
	} else if err == nil {
		note(f) // for the message above; the lock holds without
		return f, nil
	}
	return nil, errors.Join(fmt.Errorf("lock %s: %w", f.Name(), err), f.Close())
}

func note(f *os.File) {
	if f.Truncate(0) == nil {
		_, _ = f.WriteAt(fmt.Appendf(nil, "%d\n", os.Getpid()), 0)
	}
}

// isLocked reports whether a process has the spool open.
func isLocked(dir string) (bool, error) {
	f, err := os.Open(filepath.Join(dir, lockName))
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer func() { _ = f.Close() }()
	held := syscall.Flock_t{Type: syscall.F_WRLCK}
	if err := syscall.FcntlFlock(f.Fd(), getLock, &held); err != nil {
		return false, fmt.Errorf("ask for the lock of %s: %w", f.Name(), err)
	}
	return held.Type != syscall.F_UNLCK, nil
}

// preallocate makes sure that there is room up to an offset of the file, whose
// size stays as it is. A file system that can't do so is no error.
func preallocate(f *os.File, from, to int64) error {
	const keepSize = 1 // FALLOC_FL_KEEP_SIZE
	for {
		err := syscall.Fallocate(int(f.Fd()), keepSize, from, to-from)
		switch {
		case errors.Is(err, syscall.EINTR):
			continue
		case durable.IsFull(err):
			return fmt.Errorf("preallocate %s: %w", f.Name(), err)
		}
		return nil
	}
}

// erase overwrites a file from an offset on with zeros, durably; it keeps its
// size, and what is preallocated behind that.
func erase(f *os.File, from int64) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	for zeros := make([]byte, writeSize); from < info.Size() && err == nil; from += int64(len(zeros)) {
		zeros = zeros[:min(int64(len(zeros)), info.Size()-from)]
		_, err = f.WriteAt(zeros, from)
	}
	if err != nil {
		return err
	}
	return f.Sync()
}
