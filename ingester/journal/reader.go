package journal

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/logpipeline/logpipeline/ingester/durable"
	"github.com/logpipeline/logpipeline/ingester/record"
)

// windowSize is how much of a file is read at a time, and all the memory that
// reading takes, but for a record that is larger.
const windowSize = 1 << 20

// reader reads the entries of one file. It believes nothing that has no
// checksum.
type reader struct {
	file   io.ReaderAt
	number uint64
	seed   uint32 // of the checksums
	end    int64  // nothing at it and behind is read; it may grow

	window   []byte // the bytes of the file from windowAt on
	windowAt int64
	space    []byte // of window
}

func newReader(file io.ReaderAt, number uint64, end int64) *reader {
	return &reader{file: file, number: number, seed: seedOf(number), end: end}
}

// damage is a stretch of a file that can't be read.
type damage struct {
	from, to int64
	reason   string
	// entry is what the stretch begins with, where that is known.
	entry *entry
	// torn is set where the stretch looks as if its writing was interrupted.
	torn bool
}

// errUnread is a failure of the disk, which may pass.
var errUnread = errors.New("the disk can't read it")

// read returns n bytes, at most windowSize, at an offset; they are valid until
// the next call. The range must lie before the end.
func (r *reader) read(at, n int64) ([]byte, error) {
	if at < r.windowAt || at+n > r.windowAt+int64(len(r.window)) {
		if r.space == nil {
			r.space = make([]byte, windowSize)
		}
		got, err := r.file.ReadAt(r.space[:min(windowSize, r.end-at)], at)
		r.window, r.windowAt = r.space[:got], at
		if int64(got) < n {
			return nil, fmt.Errorf("bytes at %d: %w: %w", at, errUnread, err)
		}
	}
	from := at - r.windowAt
	return r.window[from : from+n], nil
}

// headerAt reads the header of the entry at an offset, which lies within the
// file, but whose lines may still be damaged. There must be something at the
// offset. With io.ErrUnexpectedEOF (wrapped) the file ends within the entry.
func (r *reader) headerAt(at int64) (entry, error) {
	if r.end-at < headerSize {
		return entry{}, fmt.Errorf("the file ends within an entry's header: %w", io.ErrUnexpectedEOF)
	}
	b, err := r.read(at, headerSize)
	if err != nil {
		return entry{}, err
	}
	e, err := parseEntry(b, r.seed)
	if err == nil && e.size() > r.end-at {
		err = fmt.Errorf("the entry has %d bytes, but the file only %d: %w", e.size(), r.end-at, io.ErrUnexpectedEOF)
	}
	return e, err
}

// check compares the checksum of the entry at an offset, whose header is e.
func (r *reader) check(at int64, e entry) error {
	sum, from, to := e.checksum, at+headerSize, at+e.size()-trailerSize
	for from < to {
		b, err := r.read(from, min(to-from, windowSize))
		if err != nil {
			return err
		}
		sum = crc32.Update(sum, castagnoli, b)
		from += int64(len(b))
	}
	trailer, err := r.read(to, trailerSize)
	if err != nil {
		return err
	}
	if binary.LittleEndian.Uint32(trailer) != sum {
		return errors.New("the checksum of the entry is wrong")
	}
	return nil
}

// damageAt is what is wrong at an offset, where headerAt or check said why.
func (r *reader) damageAt(at int64, e entry, why error) damage {
	d := damage{from: at, reason: why.Error(), torn: errors.Is(why, io.ErrUnexpectedEOF)}
	if e.records > 0 {
		d.entry = &e
		if !d.torn {
			d.to = at + e.size() // its length is right
			return d
		}
	}
	d.to = r.search(at + 1)
	d.torn = d.to == r.end && (d.torn || r.isZero(at))
	return d
}

// search returns where the next entry begins, at an offset or behind it, or
// the end.
func (r *reader) search(at int64) int64 {
	return durable.Find(r.read, magic[:], at, r.end, func(at int64) bool {
		_, err := r.headerAt(at)
		return err == nil
	})
}

// isZero reports whether there is nothing but zeros from the offset to the
// end, as where a crash of the machine lost what had not been synced.
func (r *reader) isZero(at int64) bool { return durable.IsZero(r.read, at, r.end) }

// lines calls add with the lines of the entry at an offset, those of records
// before first left out, in runs of about windowSize at most. It returns the
// error of add, or errUnread (wrapped).
func (r *reader) lines(at int64, e entry, first int64, add func(lines []byte, span record.Span) error) error {
	from, to, next := at+headerSize, at+e.size()-trailerSize, e.first
	var long []byte // the begin of a record that is longer than a window
	for from < to {
		b, err := r.read(from, min(to-from, windowSize))
		if err != nil {
			return err
		}
		from += int64(len(b))
		whole := bytes.LastIndexByte(b, '\n') + 1
		if whole == 0 {
			long = append(long, b...)
			continue
		}
		from -= int64(len(b) - whole)
		run := b[:whole]
		if long != nil {
			run, long = append(long, run...), nil
		}
		base := next
		next += int64(bytes.Count(run, newline))
		if next <= first {
			continue
		}
		if base < first {
			run, base = skipLines(run, first-base), first
		}
		if err := add(run, e.span(base, next)); err != nil {
			return err
		}
	}
	return nil
}

var newline = []byte{'\n'}

func skipLines(lines []byte, n int64) []byte {
	for range n {
		lines = lines[bytes.IndexByte(lines, '\n')+1:]
	}
	return lines
}
