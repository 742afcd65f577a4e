package journal

import (
	"errors"
	"fmt"
	"os"

	"github.com/logpipeline/logpipeline/ingester/record"
)

// maxFailures is how often in a row a place of the disk is tried that can't be
// read, before it is given up as damaged.
const maxFailures = 5

// cursor reads the journal from its oldest file on, behind the writer.
type cursor struct {
	journal *Journal
	file    *file // nil before the first
	source  *os.File
	reader  *reader
	at      int64

	failedAt place // where the disk couldn't be read last
	failures int   // in a row
}

type place struct {
	number uint64
	at     int64
}

func (c *cursor) close() {
	if c.source != nil {
		_ = c.source.Close() // it was only read
	}
	c.file, c.source, c.reader, c.at = nil, nil, nil, 0
}

// found is an entry that can be read.
type found struct {
	entry
	at     int64
	reader *reader
}

func (f found) lines(first int64, add func(lines []byte, span record.Span) error) error {
	return f.reader.lines(f.at, f.entry, first, add)
}

// next returns the first entry from the cursor on that holds records at an
// offset or behind it. Without one there is no more at present: every record
// before end has been read, or can't be.
//
// An error is the disk's, and to be tried again from a new beginning.
func (c *cursor) next(offset int64) (f found, more bool, end int64, err error) {
	for {
		if more, end := c.place(offset); !more {
			return found{}, false, end, nil
		}
		if err := c.open(); err != nil {
			return found{}, false, 0, err
		}
		e, err := c.reader.headerAt(c.at)
		if err == nil && e.next() <= offset {
			c.at += e.size()
			continue
		}
		if err == nil {
			err = c.reader.check(c.at, e)
		}
		if err == nil {
			return found{e, c.at, c.reader}, true, 0, nil
		}
		if err := c.pass(e, err); err != nil {
			return found{}, false, 0, err
		}
	}
}

// advance moves behind an entry.
func (c *cursor) advance(f found) { c.at = f.at + f.size() }

// place moves to where there is something to read, and says how far that can
// be read. At the end of the journal there isn't, and it returns the offset
// of that.
func (c *cursor) place(offset int64) (more bool, end int64) {
	j := c.journal
	j.mu.Lock()
	defer j.mu.Unlock()
	for i, f := range j.files {
		last := i == len(j.files)-1
		switch {
		case c.file != nil && f.number < c.file.number, !last && f.next <= offset:
			continue
		case c.file == nil || f.number > c.file.number:
			c.close()
			c.file, c.at = f, fileHeaderSize
		}
		if c.at < f.size {
			if c.reader != nil {
				c.reader.end = f.size
			}
			return true, 0
		}
	}
	return false, j.end
}

// open opens the file of the cursor.
func (c *cursor) open() error {
	if c.source != nil {
		return nil
	}
	source, err := os.Open(c.file.path)
	if err != nil {
		return err
	}
	c.journal.mu.Lock()
	size := c.file.size
	c.journal.mu.Unlock()
	c.source, c.reader = source, newReader(source, c.file.number, size)
	return c.checkFileHeader()
}

// checkFileHeader sets a damaged one aside; what stands behind it can be read
// nevertheless.
func (c *cursor) checkFileHeader() error {
	b, err := c.reader.read(0, fileHeaderSize)
	if err == nil {
		_, err = parseFileHeader(b, c.file.path, c.file.number)
	}
	if errors.Is(err, errFileHeader) {
		return c.journal.reportDamage(c.file, damage{to: fileHeaderSize, reason: err.Error()})
	}
	return nil // what can't be read here, will be told apart with the entries
}

// pass moves behind what can't be read, and sets that aside. What the disk may
// yet be able to read is an error, for a while.
func (c *cursor) pass(e entry, why error) error {
	if errors.Is(why, errUnread) {
		here := place{c.file.number, c.at}
		if c.failedAt != here {
			c.failedAt, c.failures = here, 0
		}
		if c.failures++; c.failures < maxFailures {
			return fmt.Errorf("read %s: %w", c.file.path, why)
		}
	}
	d := c.reader.damageAt(c.at, e, why)
	if err := c.journal.reportDamage(c.file, d); err != nil {
		return err
	}
	c.at = d.to
	return nil
}
