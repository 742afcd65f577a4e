package record

import (
	"encoding/binary"
	"math/bits"
)

// finder looks for fields in a record that scanner has accepted, which is why
// it looks at no more than it needs to find where values end. It reads nothing
// out of bounds and comes to an end whatever the bytes are.
//
// Like scanner's, its methods take the offset at which something begins and
// return the offset after it, or failed where the bytes are no record.
type finder struct {
	data []byte
}

// object looks for steps among the members of an object, from behind its
// opening brace. (Were into a field of finder, callers could not have it on
// their stack.)
func (f *finder) object(i int, steps []step, into []Value) int {
	data := f.data
	i = f.space(i)
	for i < len(data) && data[i] == '"' {
		begin := i + 1
		end, escaped := f.text(begin)
		if end == failed {
			return failed
		}
		if i = f.space(end); i >= len(data) || data[i] != ':' {
			return failed
		}
		i = f.space(i + 1)
		if s := match(steps, data[begin:end-1], escaped); s != nil {
			i = f.take(i, s, into)
		} else {
			i = f.skip(i)
		}
		if i == failed {
			return failed
		}
		if i = f.space(i); i < len(data) && data[i] == ',' {
			i = f.space(i + 1)
		}
	}
	if i < len(data) && data[i] == '}' {
		return i + 1
	}
	return failed
}

// match is the step that a member's name, without its quotes, leads to.
func match(steps []step, name []byte, escaped bool) *step {
	for i := range steps {
		if s := &steps[i]; string(name) == s.name || escaped && equalsEscaped(name, s.name) {
			return s
		}
	}
	return nil
}

// take notes the value at i as the one that s leads to, and looks into it for
// what lies behind s.
func (f *finder) take(i int, s *step, into []Value) int {
	if i >= len(f.data) {
		return failed
	}
	forget(s.next, into) // of an earlier member of this name
	kind := kindOf(f.data[i])
	var end int
	if kind == ObjectValue && len(s.next) > 0 {
		end = f.object(i+1, s.next, into)
	} else {
		end = f.skip(i)
	}
	if end != failed && s.field != inside {
		into[s.field] = Value{Raw: f.data[i:end:end], Kind: kind}
	}
	return end
}

func forget(steps []step, into []Value) {
	for i := range steps {
		if s := &steps[i]; s.field != inside {
			into[s.field] = Value{}
		}
		forget(steps[i].next, into)
	}
}

// kindOf is the kind of the value that begins with c.
func kindOf(c byte) ValueKind {
	switch c {
	case '"':
		return StringValue
	case '{':
		return ObjectValue
	case '[':
		return ArrayValue
	case 't':
		return TrueValue
	case 'f':
		return FalseValue
	case 'n':
		return NullValue
	}
	return NumberValue
}

// skip returns the offset behind the value at i.
func (f *finder) skip(i int) int {
	if i >= len(f.data) {
		return failed
	}
	switch f.data[i] {
	case '"':
		end, _ := f.text(i + 1)
		return end
	case '{', '[':
		return f.nested(i + 1)
	}
	return f.scalar(i)
}

// scalar returns the offset behind a number or a literal.
func (f *finder) scalar(i int) int {
	for ; i < len(f.data); i++ {
		if c := f.data[i]; c <= ' ' || c == ',' || c == '}' || c == ']' {
			break
		}
	}
	return i
}

// nested returns the offset behind an object or an array, from behind its
// opening bracket.
func (f *finder) nested(i int) int {
	for depth := 1; i < len(f.data); {
		switch f.data[i] {
		case '"':
			if i, _ = f.text(i + 1); i == failed {
				return failed
			}
			continue
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth == 0 {
				return i + 1
			}
		}
		i++
	}
	return failed
}

// text returns the offset behind a string, from behind its opening quote, and
// whether there is an escape sequence in it.
func (f *finder) text(i int) (end int, escaped bool) {
	data := f.data
	for {
		for len(data)-i >= 8 {
			marks := quoteOrBackslash(binary.LittleEndian.Uint64(data[i:]))
			if marks != 0 {
				if i += bits.TrailingZeros64(marks) / 8; data[i] == '"' {
					return i + 1, escaped
				}
				break
			}
			i += 8
		}
		if i >= len(data) {
			return failed, escaped
		}
		switch data[i] {
		case '"':
			return i + 1, escaped
		case '\\':
			escaped = true
			i += 2
		default:
			i++
		}
	}
}

// quoteOrBackslash marks, by its high bit, each byte of word that is a quote or
// a backslash; as with special, only the lowest mark is exact.
func quoteOrBackslash(word uint64) uint64 {
	quote := word ^ '"'*eachByte
	backslash := word ^ '\\'*eachByte
	return ((quote-eachByte)&^quote | (backslash-eachByte)&^backslash) & highBits
}

// space skips white space; it is inlined for the usual case, in which there
// is none.
func (f *finder) space(i int) int {
	if i < len(f.data) && f.data[i] > ' ' {
		return i
	}
	return f.skipSpace(i)
}

func (f *finder) skipSpace(i int) int {
	for i < len(f.data) && f.data[i] <= ' ' {
		i++
	}
	return i
}
