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
	"strings"
	"sync"
	"time"

	"github.com/logpipeline/logpipeline/ingester/record"
)

// ErrFull says that a letter doesn't fit into the folder.
var ErrFull = errors.New("folder of dead letters is full")

const (
	letterSuffix = ".letters"
	// A file with this suffix is being written, or was when its writer ended.
	temporarySuffix = ".writing"
	temporaryAge    = time.Minute
)

// folder keeps letters in files, whose sizes together stay within a bound. A
// file is named after its letters, so that they are there once however often
// they are put together. Others may read files meanwhile, remove them and make
// them smaller, but not add any.
type folder struct {
	dir string
	max int64 // bytes

	mutex sync.Mutex
	bytes int64
	files int
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
func (f *folder) usage() (bytes int64, files int) {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	return f.bytes, f.files
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
	f.bytes, f.files = 0, 0
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
			f.files++
		}
	}
	return nil
}

// put returns when the letters are on disk, in one file. Otherwise it returns
// an error for each of them, nil for those that are: ErrFull for those that
// don't fit.
func (f *folder) put(letters []record.DeadLetter) []error {
	errs := make([]error, len(letters))
	f.mutex.Lock()
	defer f.mutex.Unlock()
	fit, encoded := f.fittingLocked(letters, errs)
	if len(fit) > 0 {
		if err := f.writeLocked(fileName(fit), joinFile(encoded)); err != nil {
			for i := range errs {
				errs[i] = cmp.Or(errs[i], err)
			}
		}
	}
	if errors.Join(errs...) == nil {
		return nil
	}
	return errs
}

// fittingLocked are the letters for which there is room, and their encodings;
// for the others it notes why.
func (f *folder) fittingLocked(letters []record.DeadLetter, errs []error) (fit []record.DeadLetter, encoded [][]byte) {
	size, measured := fileSize(nil), false
	for i, d := range letters {
		letter, err := encodeLetter(d)
		if err != nil {
			errs[i] = err
			continue
		}
		own := int64(varintSize(len(letter)) + len(letter))
		if f.bytes+size+own > f.max && !measured { // perhaps others made room
			measured = true
			if err := f.measureLocked(); err != nil {
				errs[i] = err
				continue
			}
		}
		if f.bytes+size+own > f.max {
			errs[i] = fmt.Errorf("%w: %s holds %d bytes of %d, and the letter is %d: raise deadLetter.maxBytes, or replay what is there", ErrFull, f.dir, f.bytes+size, f.max, own)
			continue
		}
		size += own
		fit, encoded = append(fit, d), append(encoded, letter)
	}
	return fit, encoded
}

func (f *folder) writeLocked(name string, file []byte) error {
	path := filepath.Join(f.dir, name)
	replaced, err := os.Stat(path)
	if err := writeFile(path, file); err != nil {
		return err
	}
	if err == nil { // it was there already
		f.bytes -= replaced.Size()
		f.files--
	}
	f.bytes += int64(len(file))
	f.files++
	return nil
}

// fileName is the same for the same letters, and safe whatever their batches
// are called.
func fileName(letters []record.DeadLetter) string {
	sum := sha256.New()
	for _, d := range letters {
		fmt.Fprintf(sum, "%q\n", letterOf(d).name())
	}
	return hex.EncodeToString(sum.Sum(nil)[:16]) + letterSuffix
}
