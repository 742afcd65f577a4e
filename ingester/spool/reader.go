package spool

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/logpipeline/logpipeline/ingester/durable"
	"github.com/logpipeline/logpipeline/ingester/record"
)

// windowSize is how much of a file is read at a time.
const windowSize = 256 << 10

// reader reads the entries of one segment. It believes nothing that has no
// checksum, takes memory for no more than one entry's meta, and never fails:
// what can't be read is a damage, behind which it goes on.
type reader struct {
	file    io.ReaderAt
	segment uint64
	seed    uint32 // of its checksums
	end     int64  // nothing at it and behind is read

	window   []byte // the bytes of the file from windowAt on
	windowAt int64
	space    []byte // of window
	meta     []byte // of the entry read last
	lengths  []uint32
}

func newReader(file io.ReaderAt, segment uint64, end int64) *reader {
	return &reader{file: file, segment: segment, seed: seedOf(segment), end: end}
}

// read returns n bytes, at most windowSize, at the offset; they are valid
// until the next call. The range must lie before the end.
func (r *reader) read(at, n int64) ([]byte, error) {
	if at < r.windowAt || at+n > r.windowAt+int64(len(r.window)) {
		if r.space == nil {
			r.space = make([]byte, windowSize)
		}
		got, err := r.file.ReadAt(r.space[:min(windowSize, r.end-at)], at)
		r.window, r.windowAt = r.space[:got], at
		if int64(got) < n {
			if err == nil || errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return nil, fmt.Errorf("bytes at %d can't be read: %w", at, err)
		}
	}
	from := at - r.windowAt
	return r.window[from : from+n], nil
}

// headerAt reads the header at an offset. The entry may still be damaged, but
// it lies within the file.
func (r *reader) headerAt(at int64) (header, error) {
	if r.end-at < headerSize {
		return header{}, io.ErrUnexpectedEOF
	}
	b, err := r.read(at, headerSize)
	if err != nil {
		return header{}, err
	}
	h, err := parseHeader(b, r.seed)
	if err == nil && h.size() > r.end-at {
		err = fmt.Errorf("the entry has %d bytes, but the file only %d: %w", h.size(), r.end-at, io.ErrUnexpectedEOF)
	}
	return h, err
}

// load reads the entry at an offset, whose header is h, and compares its
// checksum. The meta is valid until the next load. The data goes into data,
// which has its length, or nowhere when that is nil.
func (r *reader) load(at int64, h header, data []byte) (meta []byte, err error) {
	sum := h.checksum
	if uint64(cap(r.meta)) < uint64(h.meta) {
		r.meta = make([]byte, h.meta)
	}
	meta = r.meta[:h.meta]
	at += headerSize
	if sum, err = r.copy(at, int64(h.meta), meta, sum); err != nil {
		return nil, err
	}
	at += int64(h.meta)
	if sum, err = r.copy(at, int64(h.data), data, sum); err != nil {
		return nil, err
	}
	trailer, err := r.read(at+int64(h.data), trailerSize)
	if err != nil {
		return nil, err
	}
	if binary.LittleEndian.Uint32(trailer) != sum {
		return nil, errors.New("the checksum of the entry is wrong")
	}
	return meta, nil
}

// copy reads n bytes at an offset into a slice, unless that is nil, and into
// the checksum.
func (r *reader) copy(at, n int64, into []byte, sum uint32) (uint32, error) {
	for done := int64(0); done < n; {
		b, err := r.read(at+done, min(n-done, windowSize))
		if err != nil {
			return 0, err
		}
		sum = crc32.Update(sum, castagnoli, b)
		if into != nil {
			copy(into[done:], b)
		}
		done += int64(len(b))
	}
	return sum, nil
}

// found is an entry that can be read, decoded by its kind. Lengths of records
// are valid until the next one is read.
type found struct {
	header
	at     int64
	data   dataMeta
	assign record.Assignment
	settle []settledSection
}

// next reads the entry at an offset, and returns where the next one begins. At
// the end the error is io.EOF. Any other is a *damageError, after which the
// reading goes on at the offset returned as well.
func (r *reader) next(at int64) (found, int64, error) {
	if at >= r.end {
		return found{}, r.end, io.EOF
	}
	h, err := r.headerAt(at)
	if err != nil {
		to := r.search(at + 1)
		torn := to == r.end && (errors.Is(err, io.ErrUnexpectedEOF) || r.isZero(at))
		return found{}, to, &damageError{damage{from: at, to: to, reason: err.Error(), torn: torn}}
	}
	to := at + h.size()
	f, err := r.decode(at, h)
	if err != nil { // of this entry alone, for its length is right
		torn := r.isZero(to - trailerSize)
		if torn {
			to = r.end
		}
		return found{}, to, &damageError{damage{from: at, to: to, reason: err.Error(), torn: torn}}
	}
	return f, to, nil
}

func (r *reader) decode(at int64, h header) (found, error) {
	f := found{header: h, at: at}
	meta, err := r.load(at, h, nil)
	if err != nil {
		return f, err
	}
	switch h.kind {
	case kindData:
		f.data, err = decodeData(meta, h, r.lengths)
		r.lengths = f.data.lengths
	case kindAssign:
		f.assign, err = decodeAssign(meta)
	case kindSettle:
		f.settle, err = decodeSettle(meta)
	}
	return f, err
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
// end, as where a crash of the machine lost what had not been synced, or what
// was being written stands before what appender.resume has overwritten.
func (r *reader) isZero(at int64) bool { return durable.IsZero(r.read, at, r.end) }
