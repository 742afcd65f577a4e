// Package durable writes files that a crash of the machine must not take away
// again. A file has two parts that become durable apart from each other: its
// content (fsync of the file) and its name (fsync of the directory).
package durable

import (
	"errors"
	"io"
	"os"
	"path/filepath"
)

// SyncDir makes the names in a directory durable: files that were made, renamed
// or removed there stay so. The errors are those of opening and syncing it.
func SyncDir(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// Create makes a file with this content, which is durable when it returns nil;
// the name is so once the directory is synced. It never touches a file that is
// there: then the error is fs.ErrExist (wrapped). After any other error the
// file may be there in part.
func Create(path string, content []byte, perm os.FileMode) error {
	return write(path, os.O_EXCL, content, perm)
}

// Overwrite is Create, but replaces the content of a file that is there, whose
// permissions stay. Whoever reads the file meanwhile, or after a crash or an
// error, may find the content in part: it is for files that are written again
// in that case.
func Overwrite(path string, content []byte, perm os.FileMode) error {
	return write(path, os.O_TRUNC, content, perm)
}

func write(path string, flag int, content []byte, perm os.FileMode) error {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|flag, perm)
	if err != nil {
		return err
	}
	_, err = file.Write(content)
	if err == nil {
		err = file.Sync()
	}
	return errors.Join(err, file.Close())
}

// Replace makes path a file with what write writes, or leaves it as it was,
// whatever happens; content and name are durable when it returns nil. Until
// then the content is in a file of the same directory whose name ends in
// suffix and that only its owner may read. After an error it is removed; a
// crash may leave it behind. The errors are those of write and of the file
// system. If only the last sync of the directory fails, the file is replaced,
// but a crash may undo that.
func Replace(path, suffix string, write func(io.Writer) error) error {
	temporary, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*"+suffix)
	if err != nil {
		return err
	}
	err = write(temporary)
	if err == nil {
		err = temporary.Sync()
	}
	err = errors.Join(err, temporary.Close())
	if err == nil {
		err = os.Rename(temporary.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(temporary.Name()))
	}
	return SyncDir(filepath.Dir(path))
}
