package journal

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/logpipeline/logpipeline/ingester/durable"
)

// idName is the file that holds the journal's id.
const idName = "id"

var idPattern = regexp.MustCompile(`^[A-Z2-7]{26}$`)

// recover reads what earlier runs have left, without the lines: those the
// storer reads.
func (j *Journal) recover() (err error) {
	if j.id, err = readOrMakeID(j.options.Dir); err != nil {
		return err
	}
	if j.stored, err = corruptBytes(j.options.Dir); err != nil {
		return err
	}
	numbers, err := listFiles(j.options.Dir)
	if err != nil {
		return err
	}
	bases := make([]int64, len(numbers))
	for i, number := range numbers {
		if bases[i], err = j.addFile(number); err != nil {
			return err
		}
	}
	if err := j.mendLast(bases); err != nil {
		return err
	}
	// A file reaches to where the next one begins of which that is known.
	next := j.end
	for i := len(j.files) - 1; i >= 0; i-- {
		j.files[i].next = next
		j.stored += j.files[i].size
		if bases[i] >= 0 {
			next = bases[i]
		}
	}
	if len(bases) > 0 {
		j.sealed = max(0, bases[0])
	}
	if len(j.files) > 0 {
		last := j.files[len(j.files)-1]
		j.log.number, j.log.durable = last.number, last.size
		j.logger.Info("the journal holds records of an earlier run", "dir", j.options.Dir, "files", len(j.files), "firstOffset", j.sealed, "nextOffset", j.end)
	}
	return j.goOnBehindNote()
}

// addFile enters a file and says where the one before it ends. The base is -1
// where it can't be read.
func (j *Journal) addFile(number uint64) (base int64, err error) {
	path := filePath(j.options.Dir, number)
	f, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	added := &file{number: number, path: path, size: info.Size()}
	b := make([]byte, fileHeaderSize)
	n, err := f.ReadAt(b, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return 0, err
	}
	h, err := parseFileHeader(b[:n], path, number)
	var newer *NewerVersionError
	if errors.As(err, &newer) {
		return 0, err
	}
	if last := len(j.files) - 1; err == nil && last >= 0 && j.files[last].number+1 == number {
		j.files[last].size = min(j.files[last].size, h.previousEnd)
	}
	j.files = append(j.files, added)
	if err != nil {
		return -1, nil
	}
	return h.base, nil
}

// mendLast finds the end of the journal, and cuts off what an interrupted
// writing left behind. A file whose making was interrupted goes.
func (j *Journal) mendLast(bases []int64) error {
	lost := int64(0)
	j.certain = true
	for len(j.files) > 0 {
		i := len(j.files) - 1
		last := j.files[i]
		found, err := scan(last, max(0, bases[i]))
		if err != nil {
			return err
		}
		if bases[i] >= 0 || found.entries {
			j.end = found.next + lost
			j.certain = j.certain && bases[i] >= 0 && !found.doubtful
			return j.cutOff(last, found.size)
		}
		if found.size > fileHeaderSize {
			// Something stood there, and nobody knows how many records.
			if err := j.reportDamage(last, damage{to: last.size, reason: errFileHeader.Error()}); err != nil {
				return err
			}
			lost, j.certain = 1, false
		}
		if err := os.Remove(last.path); err != nil {
			return err
		}
		j.files = j.files[:i]
	}
	j.end = lost
	return nil
}

// cutOff shortens the last file to the size that counts.
func (j *Journal) cutOff(last *file, size int64) error {
	if size < last.size {
		j.logger.Warn("the end of the journal was not written completely, and is cut off; nobody was told that it is there", "file", last.path, "from", size, "to", last.size)
		last.size = size
	}
	return durable.Cut(last.path, size)
}

// scanned is what a file turns out to hold.
type scanned struct {
	next    int64 // offset behind its last record
	size    int64 // end of what counts, in bytes
	entries bool  // there are any that can be read
	// doubtful: some of it can't be read, and there may have been more records.
	doubtful bool
}

// scan reads all entries of a file that begins with the record at an offset.
func scan(f *file, base int64) (scanned, error) {
	found := scanned{next: base, size: min(f.size, fileHeaderSize)}
	source, err := os.Open(f.path)
	if err != nil {
		return found, err
	}
	defer func() { _ = source.Close() }()
	r := newReader(source, f.number, f.size)
	for at := int64(fileHeaderSize); at < f.size; {
		e, err := r.headerAt(at)
		if err == nil {
			err = r.check(at, e)
		}
		if err == nil {
			at += e.size()
			found = scanned{max(found.next, e.next()), at, true, found.doubtful}
			continue
		}
		found.doubtful = true
		d := r.damageAt(at, e, err)
		switch {
		case d.torn:
			return found, nil
		case d.entry != nil:
			found.next = max(found.next, e.next())
		case d.to == f.size:
			found.next++ // how many records are lost isn't known: one stands for them
		}
		at, found.size = d.to, d.to
	}
	return found, nil
}

// readOrMakeID returns what names the journal, since it was first opened.
func readOrMakeID(dir string) (string, error) {
	path := filepath.Join(dir, idName)
	content, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		id := rand.Text()
		if err := noteEnd(dir, 0); err != nil { // before the id: a chain has none of it yet
			return "", err
		}
		write := func(w io.Writer) error { _, err := io.WriteString(w, id+"\n"); return err }
		return id, durable.Replace(path, ".tmp", write)
	}
	id := strings.TrimSpace(string(content))
	if err == nil && !idPattern.MatchString(id) {
		err = fmt.Errorf("%s is damaged: write into it the topic id that ingester chain show prints, on one line", path)
	}
	return id, err
}
