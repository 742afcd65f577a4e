package durable

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// PageSize is how much of a file is given up at least where the disk can't
// read it, in bytes.
const PageSize = 4096

// A Read returns n bytes, at most PageSize, of a file at an offset; they are
// valid until the next call.
type Read func(at, n int64) ([]byte, error)

// Find returns the first offset in the file from at on, and before end, at which
// magic stands and begins agrees; end where there is none. What can't be read is
// passed over.
func Find(read Read, magic []byte, at, end int64, begins func(at int64) bool) int64 {
	for at < end {
		n := min(PageSize, end-at)
		b, err := read(at, n)
		if err != nil {
			at = (at/PageSize + 1) * PageSize
			continue
		}
		i := bytes.Index(b, magic)
		if i < 0 {
			at += max(1, n-int64(len(magic))+1) // the magic may begin in the last bytes
			continue
		}
		at += int64(i)
		if begins(at) {
			return at
		}
		at++
	}
	return end
}

// IsZero reports whether there is nothing but zeros from an offset to the end.
func IsZero(read Read, at, end int64) bool {
	for at < end {
		b, err := read(at, min(PageSize, end-at))
		if err != nil || len(bytes.TrimLeft(b, "\x00")) > 0 {
			return false
		}
		at += int64(len(b))
	}
	return true
}

// Numbered is the path of the file with a number in dir: 20 digits, and suffix.
func Numbered(dir string, number uint64, suffix string) string {
	return filepath.Join(dir, fmt.Sprintf("%020d%s", number, suffix))
}

// NumberOf is the number of a regular file that Numbered has named.
func NumberOf(file fs.DirEntry, suffix string) (number uint64, ok bool) {
	digits, ok := strings.CutSuffix(file.Name(), suffix)
	number, err := strconv.ParseUint(digits, 10, 64)
	return number, ok && err == nil && len(digits) == 20 && file.Type().IsRegular()
}

// FilesSize is the size of all files in dir, in bytes; 0 where it is not there.
func FilesSize(dir string) (total int64, err error) {
	files, err := os.ReadDir(dir)
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
