package segment

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// openData opens the data of a link: where it is published, or where it waits
// for that.
func openData(root string, link Link) (f *os.File, path string, err error) {
	for _, path = range []string{link.DataPath, link.Staged, link.DataPath} {
		f, err = os.Open(filepath.Join(root, filepath.FromSlash(path)))
		if !errors.Is(err, fs.ErrNotExist) {
			return f, path, err
		}
	}
	return nil, link.DataPath, fmt.Errorf("data is missing, from %s too: %w", link.Staged, fs.ErrNotExist)
}

// verifyData reads a segment once and compares it with its link. Only the end
// of ctx is an error; anything else is a problem of that segment.
func (v *verifier) verifyData(ctx context.Context, link Link) error {
	f, path, err := openData(v.root, link)
	if err != nil {
		v.report.add(path, "%v", err)
		return nil
	}
	defer func() { _ = f.Close() }()
	found, err := inspect(ctx, f)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	switch {
	case err != nil:
		v.report.add(path, "%v", err)
	case found.bytes != link.Bytes:
		v.report.add(path, "has %d bytes, but its link says %d", found.bytes, link.Bytes)
	case formatChecksum(found.sum) != link.Checksum:
		v.report.add(path, "has the checksum %s, but its link says %s: a byte has changed", formatChecksum(found.sum), link.Checksum)
	case found.records != link.Records:
		v.report.add(path, "has %d lines, but its link says %d records", found.records, link.Records)
	case found.badLine > 0:
		v.report.add(path, "line %d is not one JSON value", found.badLine)
	}
	return nil
}

type inspection struct {
	records, bytes int64
	sum            uint32
	badLine        int64 // number of the first line that is not JSON, or 0
}

func inspect(ctx context.Context, r io.Reader) (found inspection, err error) {
	lines := newLineReader(r)
	for {
		line, err := lines.next()
		found.bytes += int64(len(line))
		found.sum = crc32.Update(found.sum, castagnoli, line)
		if errors.Is(err, io.EOF) {
			if len(line) > 0 {
				found.noteBad(found.records + 1)
			}
			return found, nil
		}
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return found, err
		}
		found.records++
		if !json.Valid(line) {
			found.noteBad(found.records)
		}
	}
}

func (f *inspection) noteBad(line int64) {
	if f.badLine == 0 {
		f.badLine = line
	}
}

// lineReader reads lines of any length without an allocation each.
type lineReader struct {
	reader *bufio.Reader
	long   []byte
}

func newLineReader(r io.Reader) *lineReader {
	return &lineReader{reader: bufio.NewReaderSize(r, 256<<10)}
}

// next returns a line with its '\n', valid until the next call. At io.EOF it
// returns what follows the last '\n'.
func (l *lineReader) next() ([]byte, error) {
	line, err := l.reader.ReadSlice('\n')
	if !errors.Is(err, bufio.ErrBufferFull) {
		return line, err
	}
	l.long = append(l.long[:0], line...)
	for errors.Is(err, bufio.ErrBufferFull) {
		line, err = l.reader.ReadSlice('\n')
		l.long = append(l.long, line...)
	}
	return l.long, err
}
