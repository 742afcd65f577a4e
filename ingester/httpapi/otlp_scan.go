package httpapi

import (
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// The methods here move over JSON that is known to be valid, so they look only
// for what tells tokens apart.

// peek skips white space and returns the byte behind it.
func (j *otlpJSON) peek() byte {
	for {
		switch c := j.text[j.at]; c {
		case ' ', '\t', '\r', '\n':
			j.at++
		default:
			return c
		}
	}
}

// take skips white space and the byte behind it, if that is c.
func (j *otlpJSON) take(c byte) bool {
	if j.peek() != c {
		return false
	}
	j.at++
	return true
}

// skip moves behind the value that stands next.
func (j *otlpJSON) skip() {
	depth := 0
	for {
		switch j.peek() {
		case '"':
			j.skipString()
		case '{', '[':
			depth++
			j.at++
		case '}', ']':
			depth--
			j.at++
		case ',', ':':
			j.at++
			continue
		default:
			j.skipWord()
		}
		if depth == 0 {
			return
		}
	}
}

// skipWord moves behind a number, true, false or null.
func (j *otlpJSON) skipWord() {
	for j.at < len(j.text) {
		switch j.text[j.at] {
		case ',', '}', ']', ' ', '\t', '\r', '\n':
			return
		}
		j.at++
	}
}

// skipString moves behind a string and reports whether it has escapes.
func (j *otlpJSON) skipString() (escaped bool) {
	for j.at++; ; j.at++ {
		switch j.text[j.at] {
		case '"':
			j.at++
			return escaped
		case '\\':
			escaped = true
			j.at++
		}
	}
}

// string reads a string. What it returns is a view of the text.
func (j *otlpJSON) string() []byte {
	j.peek()
	start := j.at + 1
	escaped := j.skipString()
	text := j.text[start : j.at-1]
	if escaped {
		return unescape(text)
	}
	return text
}

// unescape resolves the escapes of a string in place. Half of a surrogate pair
// becomes U+FFFD, as in encoding/json.
func unescape(text []byte) []byte {
	out := text[:0]
	for i := 0; i < len(text); {
		if text[i] != '\\' {
			out = append(out, text[i])
			i++
			continue
		}
		c := text[i+1]
		i += 2
		switch c {
		case 'b':
			c = '\b'
		case 'f':
			c = '\f'
		case 'n':
			c = '\n'
		case 'r':
			c = '\r'
		case 't':
			c = '\t'
		case 'u':
			r := hexRune(text[i:])
			i += 4
			if utf16.IsSurrogate(r) {
				second := utf8.RuneError
				if len(text)-i >= 6 && text[i] == '\\' && text[i+1] == 'u' {
					second = hexRune(text[i+2:])
				}
				if r = utf16.DecodeRune(r, second); r != utf8.RuneError {
					i += 6
				}
			}
			out = utf8.AppendRune(out, r)
			continue
		}
		out = append(out, c)
	}
	return out
}

// hexRune is the value of four hexadecimal digits.
func hexRune(digits []byte) rune {
	n, _ := strconv.ParseUint(string(digits[:4]), 16, 16)
	return rune(n)
}
