package aggregate

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"encoding/json"
	"errors"

	"github.com/logpipeline/logpipeline/ingester/record"
)

// A group's key is one entry per field of groupBy: the kind of the value, the
// length of its text as an unsigned varint, and the text; of a string without
// quotes and escapes, of anything else as the record has it. So a field that
// is missing, null, "" or "null" are four different groups.

// appendValue appends the entry of a value; not ok means that it is too long
// to name a group.
func appendValue(key []byte, v record.Value) (_ []byte, ok bool) {
	key = append(key, byte(v.Kind), 0)
	begin := len(key)
	if len(v.Raw) > 6*maxValueBytes+2 { // not even if each byte is \u00XX
		return key, false
	}
	key = v.AppendText(key)
	size := len(key) - begin
	if size > maxValueBytes {
		return key, false
	}
	if size < 0x80 {
		key[begin-1] = byte(size)
		return key, true
	}
	var prefix [binary.MaxVarintLen64]byte
	width := binary.PutUvarint(prefix[:], uint64(size))
	key = append(key, prefix[1:width]...) // room for the rest of the length
	copy(key[begin-1+width:], key[begin:begin+size])
	copy(key[begin-1:], prefix[:width])
	return key, true
}

// entry is one field's part of a key.
type entry struct {
	kind record.ValueKind
	text []byte
	raw  []byte // kind, length and text
}

var errKey = errors.New("malformed group key")

// cutEntry returns a key's first entry and what follows it.
func cutEntry(key []byte) (first entry, rest []byte, err error) {
	if len(key) < 2 || key[0] > byte(record.NullValue) {
		return entry{}, nil, errKey
	}
	size, width := binary.Uvarint(key[1:])
	if width <= 0 || size > maxValueBytes || int(size) > len(key)-1-width {
		return entry{}, nil, errKey
	}
	end := 1 + width + int(size)
	return entry{record.ValueKind(key[0]), key[1+width : end], key[:end]}, key[end:], nil
}

// checkKey makes sure that a key has so many entries.
func checkKey(key []byte, fields int) error {
	var err error
	for range fields {
		if _, key, err = cutEntry(key); err != nil {
			return err
		}
	}
	if len(key) > 0 {
		return errKey
	}
	return nil
}

// project appends the entries that are kept of a sound key.
func project(dst, key []byte, keep []bool) []byte {
	for _, kept := range keep {
		first, rest, err := cutEntry(key)
		if err != nil {
			panic(err)
		}
		if kept {
			dst = append(dst, first.raw...)
		}
		key = rest
	}
	return dst
}

// compareKeys compares sound keys entry by entry, by kind and then by text.
func compareKeys(a, b []byte) int {
	for len(a) > 0 && len(b) > 0 {
		x, restOfA, err := cutEntry(a)
		y, restOfB, other := cutEntry(b)
		if err != nil || other != nil {
			panic(errKey)
		}
		if order := cmp.Or(cmp.Compare(x.kind, y.kind), bytes.Compare(x.text, y.text)); order != 0 {
			return order
		}
		a, b = restOfA, restOfB
	}
	return cmp.Compare(len(a), len(b))
}

// document is the JSON that the entry stands for; nil for a missing field.
// What a topic's other writers called a number and isn't becomes a string.
func (e entry) document() json.RawMessage {
	if e.kind == record.NoValue {
		return nil
	}
	if e.kind != record.StringValue && json.Valid(e.text) {
		return json.RawMessage(e.text)
	}
	document, err := json.Marshal(string(e.text))
	if err != nil { // a string can always be encoded
		panic(err)
	}
	return document
}
