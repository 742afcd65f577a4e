package deadletter

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/logpipeline/logpipeline/ingester/record"
)

// ErrFull says that a letter doesn't fit into the folder.
var ErrFull = errors.New("folder of dead letters is full")

const (
	letterSuffix = ".letter"
	// A file with this suffix is being written, or was when its writer ended.
	temporarySuffix = ".writing"
	temporaryAge    = time.Minute
)

// folder keeps letters as files, whose sizes together stay within a bound. A
// letter is named after itself, so that it is there once however often it is
// put. Others may read and remove files meanwhile, but not add any.
type folder struct {
	dir string
	max int64 // bytes

	mutex   sync.Mutex
	bytes   int64
	letters int
}

// openFolder makes the directory, if it isn't there, and looks what is in it.
func openFolder(dir string, maxBytes int64) (*folder, error) {
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return nil, err
	}
	f := &folder{dir: dir, max: maxBytes}
	return f, f.measure()
}

// usage is what the folder held when it was last looked at, with what was put
// since.
func (f *folder) usage() (bytes int64, letters int) {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	return f.bytes, f.letters
}

// measure looks what is in the folder: others may have removed something.
func (f *folder) measure() error {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	return f.measureLocked()
}

// measureLocked looks what is in the folder, and removes what was never
// finished.
func (f *folder) measureLocked() error {
	entries, err := os.ReadDir(f.dir)
	if err != nil {
		return err
	}
	f.bytes, f.letters = 0, 0
	for _, entry := range entries {
		info, err := entry.Info()
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		if strings.HasSuffix(entry.Name(), temporarySuffix) && time.Since(info.ModTime()) > temporaryAge {
			if err := os.Remove(filepath.Join(f.dir, entry.Name())); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
			continue
		}
		f.bytes += info.Size()
		if strings.HasSuffix(entry.Name(), letterSuffix) {
			f.letters++
		}
	}
	return nil
}

// put returns when the letter is on disk, or ErrFull.
func (f *folder) put(d record.DeadLetter) error {
	file, err := encodeFile(d)
	if err != nil {
		return err
	}
	path := filepath.Join(f.dir, fileName(letterOf(d)))
	size := int64(len(file))
	f.mutex.Lock()
	defer f.mutex.Unlock()
	if f.bytes+size > f.max { // perhaps others made room
		if err := f.measureLocked(); err != nil {
			return err
		}
	}
	if f.bytes+size > f.max {
		return fmt.Errorf("%w: %s holds %d bytes of %d, and the letter is %d: raise deadLetter.maxBytes, or replay what is there", ErrFull, f.dir, f.bytes, f.max, size)
	}
	replaced, err := os.Stat(path)
	if err := writeFile(path, file); err != nil {
		return err
	}
	if err == nil { // it was there already
		f.bytes -= replaced.Size()
		f.letters--
	}
	f.bytes += size
	f.letters++
	return nil
}

// fileName is the same for the same letter, and safe whatever its batch is
// called.
func fileName(l Letter) string {
	sum := sha256.Sum256([]byte(l.name()))
	return hex.EncodeToString(sum[:16]) + letterSuffix
}

// writeFile makes a file that is there whole or not at all.
func writeFile(path string, content []byte) error {
	temporary, err := os.CreateTemp(filepath.Dir(path), "*"+temporarySuffix)
	if err != nil {
		return err
	}
	_, err = temporary.Write(content)
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
	return syncDir(filepath.Dir(path))
}

func syncDir(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// files are the paths of the letters in a folder, the oldest first; none where
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

// readFile reads a letter. The error is fs.ErrNotExist where somebody removed
// it meanwhile.
func readFile(path string) (record.DeadLetter, error) {
	file, err := os.ReadFile(path)
	if err != nil {
		return record.DeadLetter{}, err
	}
	d, err := decodeFile(file)
	if err != nil {
		return record.DeadLetter{}, fmt.Errorf("read %s: %w", path, err)
	}
	return d, nil
}

// remove removes a letter.
func (f *folder) remove(path string) error {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	info, err := os.Stat(path)
	if err == nil {
		f.bytes -= info.Size()
		f.letters--
	}
	return removeFile(path)
}

// removeFile removes a letter, whoever else may do the same.
func removeFile(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return syncDir(filepath.Dir(path))
}
