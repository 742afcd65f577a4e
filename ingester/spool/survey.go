package spool

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
)

// survey is what a directory holds, read from its files alone.
type survey struct {
	dir      string
	segments []*segment
	next     uint64 // position of the next data entry
	journal
	entries [kindGap + 1]int // how many of each kind
	// tail is the end of the last segment whose writing was interrupted, and
	// unborn a last segment that got no header. Nothing there ever counted.
	tail   *damage
	unborn string
	stale  []string // temporary files

	known bool    // whether next is, from an entry or a header
	last  *damage // found since the last entry that can be read
}

// takeSurvey reads every segment. Its errors are that the directory or a file
// can't be opened, or *NewerVersionError; damage is part of the survey.
func takeSurvey(dir string) (*survey, error) {
	numbers, stale, err := listSegments(dir)
	if err != nil {
		return nil, err
	}
	v := &survey{dir: dir, stale: stale, next: 1}
	headers := make([]*fileHeader, len(numbers)) // nil: damaged
	for i, number := range numbers {
		if headers[i], err = readFileHeader(segmentPath(dir, number), number); err != nil {
			return nil, err
		}
	}
	for i, number := range numbers {
		if i > 0 && number != numbers[i-1]+1 {
			v.missing(numbers[i-1]+1, number-1)
		}
		end := int64(0)
		if i+1 < len(numbers) && numbers[i+1] == number+1 && headers[i+1] != nil {
			end = headers[i+1].previousEnd
		}
		if err := v.addSegment(number, headers[i], end, i+1 == len(numbers)); err != nil {
			return nil, err
		}
	}
	return v, nil
}

// readFileHeader returns nil for a damaged one.
func readFileHeader(path string, number uint64) (*fileHeader, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	b := make([]byte, fileHeaderSize)
	n, _ := f.ReadAt(b, 0) // what can't be read is damaged
	h, err := parseFileHeader(b[:n], path, number)
	if errors.Is(err, errFileHeader) {
		return nil, nil
	}
	return &h, err
}

// missing enters that segments aren't there.
func (v *survey) missing(from, to uint64) {
	previous := v.segments[len(v.segments)-1]
	v.damaged(previous, damage{from: previous.size, to: previous.size, reason: fmt.Sprintf("segments %d to %d, which came next, are missing", from, to)})
}

func (v *survey) damaged(s *segment, d damage) {
	v.last = &d
	s.damages = append(s.damages, v.last)
}

// reached enters that the next data entry has this position. That it is larger
// than expected says what is lost.
func (v *survey) reached(s *segment, at int64, position uint64) {
	if v.known && position > v.next {
		if v.last == nil {
			v.damaged(s, damage{from: at, to: at, reason: "entries are missing"})
		}
		v.last.lost = run[uint64]{v.next, position}
	}
	if !v.known {
		s.first = position
	}
	v.next, v.known, v.last = max(v.next, position), true, nil
}

// addSegment reads a segment, whose header may be damaged. It ends at the end
// that the next one tells, if that isn't 0.
func (v *survey) addSegment(number uint64, h *fileHeader, end int64, last bool) error {
	s := &segment{number: number, path: segmentPath(v.dir, number)}
	f, err := os.Open(s.path)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	s.size = info.Size()
	if end > 0 {
		s.size = min(s.size, end)
	}
	r := newReader(f, number, s.size)
	at := int64(fileHeaderSize)
	if h != nil {
		s.created, s.first = h.created, h.first
		v.reached(s, 0, h.first)
	} else if at = r.search(fileHeaderSize); last && at == s.size && (s.size < fileHeaderSize || r.isZero(0)) {
		v.unborn = s.path
		return nil
	} else {
		s.created, s.first = info.ModTime(), v.next
		v.damaged(s, damage{from: 0, to: at, reason: errFileHeader.Error()})
	}
	v.segments = append(v.segments, s)
	v.readEntries(s, r, at, last)
	if end > info.Size() {
		v.damaged(s, damage{from: s.size, to: s.size, reason: fmt.Sprintf("the file was cut: %d of its %d bytes are missing", end-info.Size(), end)})
	}
	return nil
}

// readEntries reads a segment from an offset to its end.
func (v *survey) readEntries(s *segment, r *reader, at int64, last bool) {
	for {
		f, next, err := r.next(at)
		if errors.Is(err, io.EOF) {
			return
		}
		if err == nil && f.kind == kindData && v.known && f.position < v.next {
			err = &damageError{damage{from: at, to: next, reason: fmt.Sprintf("the batch at position %d stands where that at %d is due", f.position, v.next)}}
		}
		var found *damageError
		switch {
		case err == nil:
			v.entry(s, f)
		case errors.As(err, &found) && found.damage.torn && last && next == r.end:
			v.tail, s.size = &found.damage, at
			return
		case errors.As(err, &found):
			v.damaged(s, found.damage)
		}
		at = next
	}
}

// entry enters one that can be read.
func (v *survey) entry(s *segment, f found) {
	v.entries[f.kind]++
	if f.kind == kindGap { // what is missing is known
		v.next, v.known, v.last = max(v.next, f.position), true, nil
		return
	}
	v.reached(s, f.at, f.position)
	switch f.kind {
	case kindData:
		s.data = s.data.add(f.position, f.position+1)
		s.records += int64(f.records)
		s.keyed = s.keyed || f.data.key != ""
		v.next = f.position + 1
	case kindAssign:
		v.assign(f.assign)
	case kindSettle:
		for _, section := range f.settle {
			if s := v.segmentOf(section.Position); s != nil {
				s.records -= int64(v.unsettled(section))
			}
		}
		v.settle(f.settle)
	}
}

// count enters in each segment how many of its entries aren't done, of which it
// returns the sum, and gives up assignments whose records aren't all there.
func (v *survey) count() (undone uint64, incomplete []openAssignment) {
	for _, s := range v.segments {
		s.undone = 0
		for _, one := range s.data {
			s.undone += one.to - one.from - v.settled.size(one.from, one.to)
		}
		if s.undone == 0 {
			s.records = 0
		}
		undone += s.undone
	}
	v.open = slices.DeleteFunc(v.open, func(o openAssignment) bool {
		for _, section := range o.sorted {
			if v.segmentOf(section.Position) == nil {
				incomplete = append(incomplete, o)
				return true
			}
		}
		return false
	})
	return undone, incomplete
}

func (v *survey) segmentOf(position uint64) *segment {
	for _, s := range v.segments {
		if s.data.contains(position) {
			return s
		}
	}
	return nil
}

// readAll reads the data entries at positions.
func (v *survey) readAll(wanted map[uint64]bool) (map[uint64]stored, error) {
	read := map[uint64]stored{}
	for _, s := range v.segments {
		if !slices.ContainsFunc(slices.Collect(maps.Keys(wanted)), s.data.contains) {
			continue
		}
		if err := s.readAll(wanted, read); err != nil {
			return nil, err
		}
	}
	return read, nil
}

func (s *segment) readAll(wanted map[uint64]bool, into map[uint64]stored) error {
	f, err := os.Open(s.path)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	r := newReader(f, s.number, s.size)
	for at := int64(fileHeaderSize); at < r.end; {
		h, err := r.headerAt(at)
		if err != nil {
			at = r.search(at + 1)
			continue
		}
		if h.kind == kindData && wanted[h.position] {
			e, err := readStored(r, at, h)
			if err == nil { // otherwise it is not among what can be resent
				e.meta.lengths = slices.Clone(e.meta.lengths)
				into[h.position] = e
			}
		}
		at += h.size()
	}
	return nil
}
