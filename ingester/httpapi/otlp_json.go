package httpapi

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"strconv"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/logpipeline/logpipeline/ingester/record"
)

// otlpJSON rewrites OTLP's JSON form of a request in the wire format, so that
// what a record becomes is written down once. Of a member that is given twice
// both count, as in the wire format.
//
// The text has to be valid; it is changed where strings have escapes. The wire
// format never takes more bytes than the JSON, whose names alone outweigh tags
// and lengths.
type otlpJSON struct {
	text []byte
	at   int
	out  []byte
	err  error
	// ignored is a member of the request itself whose name is unknown.
	ignored string
}

// transcodeOTLP returns the request that a JSON body stands for, and a member
// of it that is ignored, if there is one. limits bound the nesting and the
// memory. The error is a *record.ParseError or that of limits.Reserve.
func transcodeOTLP(body []byte, limits record.Limits) (request []byte, ignored string, err error) {
	text, err := checkOTLP(body, limits)
	if err != nil {
		return nil, "", err
	}
	if limits.Reserve != nil {
		if err := limits.Reserve(int64(len(text))); err != nil {
			return nil, "", err
		}
	}
	j := otlpJSON{text: text, out: make([]byte, 0, len(text))}
	j.object(messageRequest)
	return j.out, j.ignored, j.err
}

// checkOTLP returns the body when it is one JSON object.
func checkOTLP(body []byte, limits record.Limits) ([]byte, error) {
	if text := bytes.TrimLeft(body, " \t\r\n"); len(text) > 0 && text[0] != '{' {
		return nil, &record.ParseError{Kind: record.NotAnObject, Record: -1, Offset: int64(len(body) - len(text)), Reason: fmt.Sprintf("an OTLP request is a JSON object, but this one begins with %q", text[0])}
	}
	// A log record stands at depth 7, and one level of its JSON takes four.
	limits.MaxDepth = 4*limits.MaxDepth + 12
	limits.MaxRecordBytes = math.MaxInt64
	whole := record.NewBatch("")
	err := record.ParseJSON(whole, body, limits)
	if refusal := (*record.ParseError)(nil); errors.As(err, &refusal) {
		refusal.Record = -1 // what it counts is no log record
	}
	if err != nil {
		return nil, err
	}
	return whole.Record(0), nil
}

// object reads a message and appends its fields.
func (j *otlpJSON) object(message otlpMessage) {
	if !j.take('{') {
		j.mismatch("an object")
		return
	}
	for j.err == nil && !j.take('}') {
		j.take(',')
		name := j.string()
		j.take(':')
		member, known := otlpMembers[message][string(name)]
		if !known && message == messageRequest {
			j.ignored = string(name[:min(len(name), 64)])
		}
		switch {
		case !known || j.peek() == 'n': // null is as good as absent
			j.skip()
		case member.repeated:
			j.list(name, member)
		default:
			j.field(name, member)
		}
	}
}

func (j *otlpJSON) list(name []byte, member otlpMember) {
	if !j.take('[') {
		j.mismatch("%q to be an array", name)
		return
	}
	for j.err == nil && !j.take(']') {
		j.take(',')
		j.field(name, member)
	}
}

// field reads the value of a member and appends it.
func (j *otlpJSON) field(name []byte, member otlpMember) {
	j.peek()
	start := j.at
	j.out = protowire.AppendVarint(j.out, member.tag)
	var ok bool
	switch member.kind {
	case jsonMessage:
		if ok = j.peek() == '{'; ok {
			j.nested(member.message)
		}
	case jsonText, jsonHex, jsonBase64:
		if ok = j.peek() == '"'; ok {
			ok = j.bytes(member.kind, j.string())
		}
	case jsonBoolean:
		if ok = j.peek() == 't' || j.peek() == 'f'; ok {
			j.out = protowire.AppendVarint(j.out, protowire.EncodeBool(j.peek() == 't'))
			j.skip()
		}
	default:
		ok = j.number(member)
	}
	if !ok {
		j.mismatchFrom(start, fmt.Sprintf("%q to be %s", name, member.expected()))
	}
}

// expected is what a value should have been, for a person.
func (m otlpMember) expected() string {
	return [...]string{
		jsonMessage: "an object", jsonText: "a string", jsonHex: "a string of hexadecimal digits", jsonBase64: "a string in base64",
		jsonBoolean: "true or false", jsonSigned: "an integer", jsonUnsigned: "an integer that is not negative", jsonDouble: "a number",
	}[m.kind]
}

// mismatch refuses the value that stands next.
func (j *otlpJSON) mismatch(expected string, args ...any) {
	j.peek()
	j.mismatchFrom(j.at, fmt.Sprintf(expected, args...))
}

// mismatchFrom refuses the value that begins at start, and may have been read.
func (j *otlpJSON) mismatchFrom(start int, expected string) {
	// The offset in the body is not known: white space may have been removed.
	j.err = &record.ParseError{Kind: malformedOTLP, Record: -1, Offset: -1, Reason: fmt.Sprintf("expected %s, found %s", expected, j.shown(start))}
}

// shown is the value that begins at start, for a person. One that was read is
// not looked through again: its escapes have been resolved.
func (j *otlpJSON) shown(start int) string {
	const most = 32
	first := j.text[start]
	switch first {
	case '{':
		return "an object"
	case '[':
		return "an array"
	}
	if j.at == start {
		j.skip()
	}
	if first == '"' {
		return strconv.Quote(shorten(string(j.text[start+1:j.at-1]), most))
	}
	return shorten(string(j.text[start:j.at]), most)
}

// nested appends a message behind its length, whose own length shows only
// afterwards.
func (j *otlpJSON) nested(message otlpMessage) {
	start := len(j.out) + 1
	j.out = append(j.out, 0)
	j.object(message)
	size := len(j.out) - start
	if more := protowire.SizeVarint(uint64(size)) - 1; more > 0 {
		j.out = append(j.out, make([]byte, more)...)
		copy(j.out[start+more:], j.out[start:start+size])
	}
	protowire.AppendVarint(j.out[:start-1], uint64(size))
}

// bytes appends a string, or what it encodes.
func (j *otlpJSON) bytes(kind otlpKind, text []byte) bool {
	switch kind {
	case jsonHex:
		return j.decoded(hex.DecodedLen(len(text)), hex.AppendDecode, text)
	case jsonBase64:
		// Both alphabets and any padding are read, as protobuf has it.
		encoding := base64.RawStdEncoding
		if bytes.ContainsAny(text, "-_") {
			encoding = base64.RawURLEncoding
		}
		text = bytes.TrimRight(text, "=")
		if bytes.ContainsAny(text, "\r\n") {
			return false
		}
		return j.decoded(encoding.DecodedLen(len(text)), encoding.AppendDecode, text)
	}
	j.out = protowire.AppendBytes(j.out, text)
	return true
}

// decoded appends what text encodes, which has to be size bytes.
func (j *otlpJSON) decoded(size int, decode func(dst, src []byte) ([]byte, error), text []byte) bool {
	j.out = protowire.AppendVarint(j.out, uint64(size))
	start := len(j.out)
	var err error
	j.out, err = decode(j.out, text)
	return err == nil && len(j.out) == start+size
}

// number appends a number, which may stand in a string.
func (j *otlpJSON) number(member otlpMember) bool {
	var text []byte
	if j.peek() == '"' {
		text = j.string()
	} else {
		start := j.at
		j.skip()
		text = j.text[start:j.at]
	}
	bits, ok := numberBits(text, member)
	switch member.tag & 7 {
	case asFixed64:
		j.out = protowire.AppendFixed64(j.out, bits)
	case asFixed32:
		j.out = protowire.AppendFixed32(j.out, uint32(bits))
	default:
		j.out = protowire.AppendVarint(j.out, bits)
	}
	return ok
}

// numberBits is a number as the wire format has it, and whether it is one of
// the member's type. Integers may be written with a point or an exponent.
func numberBits(text []byte, member otlpMember) (uint64, bool) {
	if member.kind == jsonDouble {
		d, err := strconv.ParseFloat(string(text), 64)
		return math.Float64bits(d), err == nil
	}
	small := member.tag == recordFlags || member.kind == jsonUnsigned && member.tag&7 == asVarint
	most := uint64(math.MaxUint64)
	if small {
		most = math.MaxUint32
	}
	if member.kind == jsonUnsigned {
		if n, err := strconv.ParseUint(string(text), 10, 64); err == nil {
			return n, n <= most
		}
	} else if n, err := strconv.ParseInt(string(text), 10, 64); err == nil {
		return uint64(n), true
	}
	d, err := strconv.ParseFloat(string(text), 64)
	if err != nil || d != math.Trunc(d) || math.Abs(d) >= 1<<63 || d < 0 && member.kind == jsonUnsigned {
		return 0, false
	}
	return uint64(int64(d)), uint64(int64(d)) <= most
}
