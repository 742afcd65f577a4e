package spool

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"unicode/utf8"
)

// salvager looks for records in a damaged stretch of a segment.
type salvager struct {
	content []byte
	reader  *reader
	records io.Writer
	found   Findings
	err     error // of writing
}

func newSalvager(content []byte, segment uint64, records io.Writer) *salvager {
	return &salvager{content: content, reader: newReader(bytes.NewReader(content), segment, int64(len(content))), records: records}
}

// run goes from one entry whose header can be trusted to the next.
func (s *salvager) run() Findings {
	for at := int64(0); at < s.reader.end; {
		h, err := s.reader.headerAt(at)
		if err == nil {
			s.entry(at, h)
			at += h.size()
			continue
		}
		next := s.reader.search(at + 1)
		n := s.scan(s.content[at:next])
		if errors.Is(err, io.ErrUnexpectedEOF) && h.kind == kindData { // the entry was cut
			s.found.Unreadable += max(0, int(h.records)-n)
		}
		at = next
	}
	return s.found
}

// entry reads a data entry whose header is right.
func (s *salvager) entry(at int64, h header) {
	if h.kind != kindData {
		return
	}
	from := at + headerSize
	meta, data := s.content[from:from+int64(h.meta)], s.content[from+int64(h.meta):][:h.data]
	_, err := s.reader.load(at, h, nil)
	sound := err == nil
	m, err := decodeData(meta, h, nil)
	if err != nil {
		s.found.Unreadable += max(0, int(h.records)-s.scan(data))
		return
	}
	for _, length := range m.lengths {
		record := data[:length]
		data = data[length:]
		switch {
		case sound, isRecord(record):
			s.write(record, sound)
		default:
			s.found.Unreadable++
		}
	}
}

// scan writes the records in a region of which nothing else is known, and
// returns how many there are.
func (s *salvager) scan(region []byte) (records int) {
	left := int64(len(region))
	for at := 0; at < len(region); at++ {
		if !beginsRecord(region, at) {
			continue
		}
		if n := objectLength(region[at:]); n > 0 && isRecord(region[at:at+n]) {
			s.write(region[at:at+n], false)
			records++
			left -= int64(n)
			at += n - 1
		}
	}
	s.found.UnreadableBytes += left
	return records
}

func (s *salvager) write(record []byte, sound bool) {
	if s.err != nil {
		return
	}
	if _, s.err = s.records.Write(append(bytes.Clone(record), '\n')); s.err != nil {
		return
	}
	s.found.Records++
	if !sound {
		s.found.Doubtful++
	}
}

// beginsRecord reports whether a record may begin there: at the beginning, after
// the end of another, or after a byte that no record holds. So an object inside
// of a damaged record isn't taken for one: JSON has no "}{" but between records,
// or in a string.
func beginsRecord(region []byte, at int) bool {
	if region[at] != '{' {
		return false
	}
	return at == 0 || region[at-1] == '}' || isForeign(region[at-1])
}

// isForeign reports whether a record, which is one line of JSON, can't hold c.
func isForeign(c byte) bool { return c < ' ' && c != '\t' }

// objectLength is how long the object at the beginning of b is by its braces; 0
// where it doesn't end.
func objectLength(b []byte) int {
	depth, text, escaped := 0, false, false
	for i, c := range b {
		switch {
		case isForeign(c):
			return 0
		case escaped:
			escaped = false
		case text && c == '\\':
			escaped = true
		case c == '"':
			text = !text
		case text:
		case c == '{':
			depth++
		case c == '}':
			if depth--; depth == 0 {
				return i + 1
			}
		}
	}
	return 0
}

// isRecord reports whether b is what the intake takes for a record.
func isRecord(b []byte) bool {
	return len(b) > 0 && b[0] == '{' && !slices.ContainsFunc(b, isForeign) && utf8.Valid(b) && json.Valid(b)
}
