package segment

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
)

// openData opens the data of a link: where it is published, or where it waits
// for that.
func openData(ctx context.Context, from reader, link Link) (f io.ReadCloser, name string, err error) {
	for _, name = range []string{link.DataPath, link.Staged, link.DataPath} {
		f, err = from.open(ctx, name)
		if !errors.Is(err, fs.ErrNotExist) {
			return f, name, err
		}
	}
	return nil, link.DataPath, fmt.Errorf("data is missing, from %s too: %w", link.Staged, fs.ErrNotExist)
}

// verifyData reads a segment once, closes it, and compares it with its link.
// Only the end of ctx is an error; anything else is a problem of that segment.
func (v *verifier) verifyData(ctx context.Context, f io.ReadCloser, name string, link Link) error {
	defer func() { _ = f.Close() }()
	found, err := inspect(ctx, f, link.Codec)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	switch {
	case err != nil:
		v.report.add(name, "%v", err)
	case found.stored.bytes != link.Bytes:
		v.report.add(name, "has %d bytes, but its link says %d", found.stored.bytes, link.Bytes)
	case formatChecksum(found.stored.sum) != link.Checksum:
		v.report.add(name, "has the checksum %s, but its link says %s: a byte has changed", formatChecksum(found.stored.sum), link.Checksum)
	case found.undecodable != nil:
		v.report.add(name, "cannot be decompressed: %v", found.undecodable)
	case found.bytes != link.UncompressedBytes:
		v.report.add(name, "has lines of %d bytes, but its link says %d", found.bytes, link.UncompressedBytes)
	case found.records != link.Records:
		v.report.add(name, "has %d lines, but its link says %d records", found.records, link.Records)
	case found.badLine > 0:
		v.report.add(name, "line %d is not one JSON value", found.badLine)
	}
	return nil
}

type inspection struct {
	stored         storedBytes
	undecodable    error // why the lines end before the data does
	records, bytes int64 // of the lines
	badLine        int64 // number of the first line that is not JSON, or 0
}

// inspect reads all data, also what follows the place where it cannot be
// decoded. Its error is the reader's or that of ctx.
func inspect(ctx context.Context, data io.Reader, codec string) (found inspection, err error) {
	found.stored.file = io.Discard
	data = io.TeeReader(data, &found.stored)
	if found.undecodable = found.readLines(ctx, data, codec); ctx.Err() != nil {
		return found, ctx.Err()
	}
	_, err = io.Copy(io.Discard, data)
	return found, err
}

func (f *inspection) readLines(ctx context.Context, data io.Reader, codec string) error {
	decoded, err := decode(codec, data)
	if err != nil {
		return err
	}
	defer func() { _ = decoded.Close() }()
	for lines := newLineReader(decoded); ; {
		line, err := lines.next()
		f.bytes += int64(len(line))
		if errors.Is(err, io.EOF) {
			if len(line) > 0 {
				f.noteBad(f.records + 1)
			}
			return nil
		}
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return err
		}
		f.records++
		if !json.Valid(line) {
			f.noteBad(f.records)
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
