package record

import "fmt"

// failed is the offset that a scan returns once scanner.fault is set.
const failed = -1

// scanner checks a JSON text against RFC 8259 in one pass, without building
// anything of it. Its methods take the offset at which something begins and
// return the offset after it, or failed.
//
// It accepts what encoding/json.Valid accepts, less strings that are not
// UTF-8 and nesting beyond maxDepth. Escaped surrogates (\ud800) need no
// partner, duplicate names are allowed: both as the RFC's grammar has it.
type scanner struct {
	data     []byte
	plain    plainText
	maxDepth int

	// newline is the first line feed that was met between tokens, -1 for
	// none, and broken whether any line feed or carriage return was. They
	// are reset at the start of each record.
	newline int
	broken  bool

	fault ParseError
}

// fail notes why the scan ends; the record is filled in by the parser.
func (s *scanner) fail(kind Kind, offset int, reason string) int {
	s.fault = ParseError{Kind: kind, Offset: int64(offset), Reason: reason}
	return failed
}

// unexpected fails at offset i, where something else was expected.
func (s *scanner) unexpected(i int, expected string) int {
	if i >= len(s.data) {
		return s.fail(MalformedJSON, len(s.data), "expected "+expected+", found the end of the body")
	}
	if c := s.data[i]; c < ' ' || c > '~' {
		return s.fail(MalformedJSON, i, fmt.Sprintf("expected %s, found byte 0x%02x", expected, c))
	}
	return s.fail(MalformedJSON, i, fmt.Sprintf("expected %s, found %q", expected, s.data[i]))
}

// space skips white space. It is small enough to be inlined for the usual
// case, in which there is none.
func (s *scanner) space(i int) int {
	if i < len(s.data) && s.data[i] > ' ' {
		return i
	}
	return s.skipSpace(i)
}

func (s *scanner) skipSpace(i int) int {
	for ; i < len(s.data); i++ {
		switch s.data[i] {
		case ' ', '\t':
		case '\r':
			s.broken = true
		case '\n':
			s.broken = true
			if s.newline < 0 {
				s.newline = i
			}
		default:
			return i
		}
	}
	return i
}

// value scans what stands after a ':', '[' or ',' and the white space behind
// it. depth is that of the object or array around it.
func (s *scanner) value(i, depth int) int {
	if i >= len(s.data) {
		return s.unexpected(i, "a value")
	}
	switch c := s.data[i]; c {
	case '"':
		return s.text(i + 1)
	case '{':
		return s.object(i+1, depth+1)
	case '[':
		return s.array(i+1, depth+1)
	case 't':
		return s.literal(i, "true")
	case 'f':
		return s.literal(i, "false")
	case 'n':
		return s.literal(i, "null")
	case '-', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9':
		return s.number(i)
	}
	return s.unexpected(i, "a value")
}

// object scans an object from behind its opening brace.
func (s *scanner) object(i, depth int) int {
	if depth > s.maxDepth {
		return s.tooDeep(i - 1)
	}
	i = s.space(i)
	if i < len(s.data) && s.data[i] == '}' {
		return i + 1
	}
	for {
		if i >= len(s.data) || s.data[i] != '"' {
			return s.unexpected(i, "the name of a member in double quotes")
		}
		if i = s.text(i + 1); i == failed {
			return failed
		}
		if i = s.space(i); i >= len(s.data) || s.data[i] != ':' {
			return s.unexpected(i, "':' after the name of a member")
		}
		if i = s.space(i + 1); i < len(s.data) && s.data[i] == '"' {
			i = s.text(i + 1)
		} else {
			i = s.value(i, depth)
		}
		if i == failed {
			return failed
		}
		if i = s.space(i); i >= len(s.data) || s.data[i] != ',' {
			break
		}
		i = s.space(i + 1)
	}
	if i < len(s.data) && s.data[i] == '}' {
		return i + 1
	}
	return s.unexpected(i, "',' or '}' after a member")
}

// array scans an array from behind its opening bracket.
func (s *scanner) array(i, depth int) int {
	if depth > s.maxDepth {
		return s.tooDeep(i - 1)
	}
	i = s.space(i)
	if i < len(s.data) && s.data[i] == ']' {
		return i + 1
	}
	for {
		if i = s.value(i, depth); i == failed {
			return failed
		}
		if i = s.space(i); i >= len(s.data) || s.data[i] != ',' {
			break
		}
		i = s.space(i + 1)
	}
	if i < len(s.data) && s.data[i] == ']' {
		return i + 1
	}
	return s.unexpected(i, "',' or ']' after an element")
}

func (s *scanner) tooDeep(i int) int {
	return s.fail(NestingTooDeep, i, fmt.Sprintf("objects and arrays are nested more than %d deep", s.maxDepth))
}
