package record

import (
	"bytes"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// AppendString appends the text that a JSON string of a record stands for, in
// UTF-8. raw is the string with its quotes, as Value.Raw has it. Half a
// surrogate pair becomes U+FFFD, as encoding/json makes it.
func AppendString(dst, raw []byte) []byte {
	text := bytes.TrimPrefix(raw, []byte{'"'})
	text = text[:max(len(text)-1, 0)]
	for {
		plain := bytes.IndexByte(text, '\\')
		if plain < 0 {
			return append(dst, text...)
		}
		dst = append(dst, text[:plain]...)
		r, size := unescape(text[plain:])
		dst = utf8.AppendRune(dst, r)
		text = text[plain+size:]
	}
}

// equalsEscaped reports whether the inside of a JSON string stands for text.
func equalsEscaped(inside []byte, text string) bool {
	for len(inside) > 0 {
		size, meant := 1, inside[:1]
		if inside[0] == '\\' {
			var buffer [utf8.UTFMax]byte
			var r rune
			r, size = unescape(inside)
			meant = utf8.AppendRune(buffer[:0], r)
		}
		if !strings.HasPrefix(text, string(meant)) {
			return false
		}
		inside, text = inside[size:], text[len(meant):]
	}
	return text == ""
}

// unescape returns the character for the escape sequence that text begins
// with, and the sequence's length. A pair of surrogates is one sequence.
func unescape(text []byte) (r rune, size int) {
	if len(text) < 2 {
		return utf8.RuneError, len(text)
	}
	switch c := text[1]; c {
	case 'b':
		return '\b', 2
	case 'f':
		return '\f', 2
	case 'n':
		return '\n', 2
	case 'r':
		return '\r', 2
	case 't':
		return '\t', 2
	case 'u':
		return unescapeUnicode(text)
	default: // a quote, a backslash or a slash
		return rune(c), 2
	}
}

// unescapeUnicode is unescape for \uXXXX.
func unescapeUnicode(text []byte) (r rune, size int) {
	const length = len(`\u0000`)
	first := codeUnit(text)
	if !utf16.IsSurrogate(first) {
		return first, min(length, len(text))
	}
	second := rune(utf8.RuneError)
	if len(text) > length {
		second = codeUnit(text[length:])
	}
	if pair := utf16.DecodeRune(first, second); pair != utf8.RuneError {
		return pair, 2 * length
	}
	return utf8.RuneError, length
}

// codeUnit is XXXX of the \uXXXX that text begins with, or U+FFFD.
func codeUnit(text []byte) rune {
	if len(text) < 6 || text[0] != '\\' || text[1] != 'u' {
		return utf8.RuneError
	}
	var unit rune
	for _, c := range text[2:6] {
		switch {
		case isDigit(c):
			unit = unit<<4 | rune(c-'0')
		case isHex(c):
			unit = unit<<4 | rune(c|0x20-'a'+10)
		default:
			return utf8.RuneError
		}
	}
	return unit
}
