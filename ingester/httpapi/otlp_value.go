package httpapi

import (
	"encoding/base64"
	"fmt"
	"math"
	"strconv"
	"unicode/utf8"
)

// reject notes why the record at hand can't be taken; the first reason stays.
func (w *otlpWriter) reject(format string, args ...any) {
	if w.fault == "" {
		w.fault = fmt.Sprintf(format, args...)
	}
}

// appendAttributes appends the member "attributes", unless there are none: the
// KeyValues that the message has under a tag. depth is the object's.
func (w *otlpWriter) appendAttributes(out, message []byte, tag uint64, depth int) []byte {
	for f := w.fields(message); f.next(); {
		if f.tag == tag {
			return w.appendMap(appendName(out, `"attributes":`), message, tag, depth)
		}
	}
	return out
}

// appendMap appends an object of the KeyValues that the message has under a
// tag. Of those with the same key the last one counts.
func (w *otlpWriter) appendMap(out, message []byte, tag uint64, depth int) []byte {
	if w.tooDeep(depth) {
		return out
	}
	entries := w.pushEntries(message, tag)
	first := true
	out = append(out, '{')
	for _, e := range entries {
		if e.key == nil {
			continue
		}
		if !first {
			out = append(out, ',')
		}
		first = false
		out = append(w.appendText(out, e.key), ':')
		out = w.appendValue(out, e.value, depth+1)
	}
	w.popEntries(len(entries))
	return append(out, '}')
}

func (w *otlpWriter) tooDeep(depth int) bool {
	if depth > w.limits.MaxDepth {
		w.reject("it is nested more than %d deep (requestLimits.maxDepth)", w.limits.MaxDepth)
	}
	return w.fault != ""
}

// appendValue appends an AnyValue; one that holds nothing is null. depth is
// what an object or array will have.
func (w *otlpWriter) appendValue(out, message []byte, depth int) []byte {
	var value otlpFields
	for f := w.fields(message); f.next(); {
		switch f.tag {
		case valueString, valueBool, valueInt, valueDouble, valueArray, valueMap, valueBytes:
			value = f
		}
	}
	switch value.tag {
	case valueString:
		return w.appendText(out, value.bytes)
	case valueBool:
		return strconv.AppendBool(out, value.number != 0)
	case valueInt:
		return strconv.AppendInt(out, int64(value.number), 10)
	case valueDouble:
		return appendDouble(out, math.Float64frombits(value.number))
	case valueArray:
		return w.appendArray(out, value.bytes, depth)
	case valueMap:
		return w.appendMap(out, value.bytes, listValues, depth)
	case valueBytes:
		return append(base64.StdEncoding.AppendEncode(append(out, '"'), value.bytes), '"')
	}
	return append(out, "null"...)
}

func (w *otlpWriter) appendArray(out, message []byte, depth int) []byte {
	if w.tooDeep(depth) {
		return out
	}
	out = append(out, '[')
	first := true
	for f := w.fields(message); f.next(); {
		if f.tag != listValues {
			continue
		}
		if !first {
			out = append(out, ',')
		}
		first = false
		out = w.appendValue(out, f.bytes, depth+1)
	}
	return append(out, ']')
}

// appendDouble appends the shortest number that reads back as d, in the form
// that ECMAScript and encoding/json have. What is no number in JSON becomes
// the string that protobuf's JSON mapping has for it.
func appendDouble(out []byte, d float64) []byte {
	switch {
	case math.IsNaN(d):
		return append(out, `"NaN"`...)
	case math.IsInf(d, 1):
		return append(out, `"Infinity"`...)
	case math.IsInf(d, -1):
		return append(out, `"-Infinity"`...)
	}
	format := byte('f')
	if size := math.Abs(d); size != 0 && (size < 1e-6 || size >= 1e21) {
		format = 'e'
	}
	return strconv.AppendFloat(out, d, format, -1, 64)
}

// appendText appends a string, or rejects the record when it is not UTF-8.
func (w *otlpWriter) appendText(out, text []byte) []byte {
	if !utf8.Valid(text) {
		w.reject("a string is not valid UTF-8: %q", text[:min(len(text), 64)])
		text = nil
	}
	out = append(out, '"')
	plain := 0
	for i, c := range text {
		if c >= ' ' && c != '"' && c != '\\' {
			continue
		}
		out = append(out, text[plain:i]...)
		plain = i + 1
		switch c {
		case '"', '\\':
			out = append(out, '\\', c)
		case '\n':
			out = append(out, '\\', 'n')
		case '\r':
			out = append(out, '\\', 'r')
		case '\t':
			out = append(out, '\\', 't')
		default:
			const digits = "0123456789abcdef"
			out = append(out, '\\', 'u', '0', '0', digits[c>>4], digits[c&15])
		}
	}
	return append(append(out, text[plain:]...), '"')
}
