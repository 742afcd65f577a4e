package journal

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/logpipeline/logpipeline/ingester/durable"
)

// endName is the file that says where the journal ended when it was left without
// files, so that the offsets go on behind that although the chain can't be asked.
const endName = "end"

// noteEnd says durably that the journal without files ends at an offset.
func noteEnd(dir string, end int64) error {
	write := func(w io.Writer) error { _, err := fmt.Fprintln(w, end); return err }
	return durable.Replace(filepath.Join(dir, endName), ".tmp", write)
}

// readEnd returns what was noted last; it is not noted in a journal that an older
// release has left.
func readEnd(dir string) (end int64, noted bool, err error) {
	path := filepath.Join(dir, endName)
	content, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, false, nil
	}
	if err != nil {
		return 0, false, err
	}
	end, err = strconv.ParseInt(strings.TrimSpace(string(content)), 10, 64)
	if err != nil || end < 0 {
		return 0, false, fmt.Errorf("%s is damaged: remove it; the journal then waits for its chain to say where the offsets go on", path)
	}
	return end, true, nil
}

// goOnBehindNote has a journal go on where it ended when it was left without files.
func (j *Journal) goOnBehindNote() error {
	noted, known, err := readEnd(j.options.Dir)
	if err != nil {
		return err
	}
	j.end = max(j.end, noted)
	if len(j.files) == 0 {
		j.sealed, j.certain = j.end, known && j.certain
	}
	return nil
}
