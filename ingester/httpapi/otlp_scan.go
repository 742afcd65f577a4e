package httpapi

import "github.com/logpipeline/logpipeline/ingester/record"

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

// string reads a string. What it returns is a view of the text, where escapes
// have been resolved: no escape is shorter than what it stands for.
func (j *otlpJSON) string() []byte {
	j.peek()
	start := j.at + 1
	if j.skipString() {
		return record.AppendString(j.text[start:start], j.text[start-1:j.at])
	}
	return j.text[start : j.at-1]
}
