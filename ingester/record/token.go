package record

import (
	"fmt"
	"unicode/utf8"
)

// Of eight bytes in a word.
const (
	eachByte = 0x0101010101010101
	highBits = 0x80 * eachByte
)

// isPlain is whether a byte stands for itself in a string: it is ASCII, and no
// quote, backslash or control character.
func isPlain(c byte) bool { return c >= ' ' && c < utf8.RuneSelf && c != '"' && c != '\\' }

// text scans a string from behind its opening quote.
func (s *scanner) text(i int) int {
	for {
		end, known := s.plain.next(i)
		if !known {
			end = s.plain.find(s.data, i)
		}
		if i = end; i >= len(s.data) {
			return s.unexpected(i, "the end of a string")
		}
		switch c := s.data[i]; {
		case c == '"':
			return i + 1
		case c == '\\':
			i = s.escape(i + 1)
		case c < ' ':
			return s.fail(MalformedJSON, i, fmt.Sprintf("a string holds control character 0x%02x; write it as \\u%04x", c, c))
		default:
			i = s.runes(i)
		}
		if i == failed {
			return failed
		}
	}
}

// runes scans the characters from i on that aren't ASCII.
func (s *scanner) runes(i int) int {
	for i < len(s.data) && s.data[i] >= utf8.RuneSelf {
		r, size := utf8.DecodeRune(s.data[i:])
		if r == utf8.RuneError && size == 1 {
			return s.fail(InvalidUTF8, i, fmt.Sprintf("byte 0x%02x begins no UTF-8 character", s.data[i]))
		}
		i += size
	}
	return i
}

// escape scans an escape sequence from behind its backslash.
func (s *scanner) escape(i int) int {
	const expected = `one of "\/bfnrtu behind a backslash`
	if i >= len(s.data) {
		return s.unexpected(i, expected)
	}
	switch s.data[i] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return i + 1
	case 'u':
		for end := i + 4; i < end; {
			if i++; i >= len(s.data) || !isHex(s.data[i]) {
				return s.unexpected(i, `four hexadecimal digits behind \u`)
			}
		}
		return i + 1
	}
	return s.unexpected(i, expected)
}

// number scans a number from its first byte, a digit or a minus sign.
func (s *scanner) number(i int) int {
	data := s.data
	if data[i] == '-' {
		i++
	}
	switch {
	case i < len(data) && data[i] == '0':
		i++
	case i < len(data) && isDigit(data[i]):
		i = digits(data, i)
	default:
		return s.unexpected(i, "a digit behind the minus sign")
	}
	if i < len(data) && data[i] == '.' {
		if i++; i >= len(data) || !isDigit(data[i]) {
			return s.unexpected(i, "a digit behind the decimal point")
		}
		i = digits(data, i)
	}
	if i < len(data) && (data[i] == 'e' || data[i] == 'E') {
		if i++; i < len(data) && (data[i] == '+' || data[i] == '-') {
			i++
		}
		if i >= len(data) || !isDigit(data[i]) {
			return s.unexpected(i, "a digit of the exponent")
		}
		i = digits(data, i)
	}
	return i
}

func digits(data []byte, i int) int {
	for i < len(data) && isDigit(data[i]) {
		i++
	}
	return i
}

// literal scans true, false or null.
func (s *scanner) literal(i int, word string) int {
	end := i + len(word)
	if end > len(s.data) || string(s.data[i:end]) != word {
		return s.fail(MalformedJSON, i, "expected "+word)
	}
	return end
}

func isDigit(c byte) bool { return c-'0' <= 9 }

func isHex(c byte) bool {
	return isDigit(c) || c|0x20 >= 'a' && c|0x20 <= 'f'
}
