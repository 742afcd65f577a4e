package segment

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/logpipeline/logpipeline/ingester/durable"
)

// makeDirs makes root/path and its parents below root, and makes every one of
// their names durable, those that others have made just now included.
func makeDirs(root, path string) error {
	if err := os.MkdirAll(filepath.Join(root, path), 0o755); err != nil {
		return err
	}
	for parent := filepath.Dir(path); ; parent = filepath.Dir(parent) {
		if err := durable.SyncDir(filepath.Join(root, parent)); err != nil {
			return err
		}
		if parent == "." {
			return nil
		}
	}
}

// removeIfExists removes a file that another writer may have removed already.
func removeIfExists(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// exists tells absence, which is an answer, from failure, which is none.
func exists(path string) (bool, error) {
	_, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}
