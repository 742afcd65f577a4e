package deadletter

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/logpipeline/logpipeline/ingester/durable"
	"github.com/logpipeline/logpipeline/ingester/record"
)

// writeFile makes a file that is there whole or not at all.
func writeFile(path string, content []byte) error {
	return durable.Replace(path, temporarySuffix, func(file io.Writer) error {
		_, err := file.Write(content)
		return err
	})
}

// files are the paths of the files with letters in a folder, the oldest first; none where
// there is no folder.
func files(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	type found struct {
		path string
		time time.Time
	}
	var all []found
	for _, entry := range entries {
		info, err := entry.Info()
		if err == nil && strings.HasSuffix(entry.Name(), letterSuffix) {
			all = append(all, found{filepath.Join(dir, entry.Name()), info.ModTime()})
		}
	}
	slices.SortFunc(all, func(a, b found) int { return cmp.Or(a.time.Compare(b.time), cmp.Compare(a.path, b.path)) })
	paths := make([]string, len(all))
	for i, f := range all {
		paths[i] = f.path
	}
	return paths, nil
}

// readFile reads the letters of a file. The error is fs.ErrNotExist where
// somebody removed it meanwhile.
func readFile(path string) ([]record.DeadLetter, error) {
	file, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	letters, err := decodeFile(file)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	return letters, nil
}

// replaceFile leaves of a file the letters that are given; with none of them,
// nothing.
func replaceFile(path string, letters []record.DeadLetter) error {
	if len(letters) == 0 {
		return removeFile(path)
	}
	file, err := encodeFile(letters)
	if err != nil {
		return err
	}
	return writeFile(path, file)
}

// removeFile removes a file, whoever else may do the same.
func removeFile(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return durable.SyncDir(filepath.Dir(path))
}
