package lag

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/google/uuid"
)

func appendInt16(b []byte, v int16) []byte { return binary.BigEndian.AppendUint16(b, uint16(v)) }
func appendInt32(b []byte, v int32) []byte { return binary.BigEndian.AppendUint32(b, uint32(v)) }
func appendInt64(b []byte, v int64) []byte { return binary.BigEndian.AppendUint64(b, uint64(v)) }

func appendString(b []byte, s string) []byte {
	return append(appendInt16(b, int16(len(s))), s...)
}

func appendCompactString(b []byte, s string) []byte {
	return append(appendCompactCount(b, len(s)), s...)
}

// appendCompactCount writes the length of a string or array as the flexible
// versions have it: plus one.
func appendCompactCount(b []byte, n int) []byte { return binary.AppendUvarint(b, uint64(n)+1) }

var errMalformed = errors.New("malformed response")

// longest is more than any string of an answer that is read: names of topics,
// groups and hosts, and commits' metadata (4 KiB unless configured otherwise).
const longest = 1 << 20

// decoder reads the fields of a response as it comes in. After the first error
// it yields zero values. No length in the response makes it read past the end,
// or announce more elements than the rest could hold.
type decoder struct {
	in   *bufio.Reader
	left int64 // bytes of the response that have not been read
	err  error
	room [16]byte
}

func newDecoder(in *bufio.Reader, size int64) *decoder {
	d := &decoder{in: in, left: size}
	if size < 0 {
		d.left, d.err = 0, fmt.Errorf("%w: it announces %d bytes", errMalformed, size)
	}
	return d
}

// may tells whether n more bytes can be read, and notes that they are.
func (d *decoder) may(n int64) bool {
	if d.err == nil && (n < 0 || n > d.left) {
		d.err = fmt.Errorf("%w: it ends early", errMalformed)
	}
	if d.err != nil {
		return false
	}
	d.left -= n
	return true
}

func (d *decoder) fill(b []byte) []byte {
	clear(b)
	if d.may(int64(len(b))) {
		if _, err := io.ReadFull(d.in, b); err != nil {
			d.err = err
			clear(b)
		}
	}
	return b
}

func (d *decoder) skip(n int64) {
	if !d.may(n) {
		return
	}
	for n > 0 && d.err == nil {
		var skipped int
		skipped, d.err = d.in.Discard(int(min(n, 1<<30)))
		n -= int64(skipped)
	}
}

func (d *decoder) int8() int8   { return int8(d.fill(d.room[:1])[0]) }
func (d *decoder) int16() int16 { return int16(binary.BigEndian.Uint16(d.fill(d.room[:2]))) }
func (d *decoder) int32() int32 { return int32(binary.BigEndian.Uint32(d.fill(d.room[:4]))) }
func (d *decoder) int64() int64 { return int64(binary.BigEndian.Uint64(d.fill(d.room[:8]))) }

func (d *decoder) uuid() uuid.UUID { return uuid.UUID(d.fill(d.room[:16])) }

func (d *decoder) text(n int64) string {
	if n <= 0 {
		return ""
	}
	if n > longest {
		d.err = errors.Join(d.err, fmt.Errorf("%w: a string of %d bytes", errMalformed, n))
		return ""
	}
	return string(d.fill(make([]byte, n)))
}

// string is a string after an int16 length; null is "".
func (d *decoder) string() string { return d.text(int64(d.int16())) }

func (d *decoder) compactString() string { return d.text(d.compactLength()) }

func (d *decoder) uvarint() uint64 {
	var v uint64
	for shift := 0; shift < 64 && d.err == nil; shift += 7 {
		b := uint8(d.int8())
		v |= uint64(b&0x7f) << shift
		if b < 0x80 {
			return v
		}
	}
	d.err = errors.Join(d.err, fmt.Errorf("%w: a number without end", errMalformed))
	return 0
}

// compactLength is the length that flexible versions write plus one; null is
// -1.
func (d *decoder) compactLength() int64 { return int64(min(d.uvarint(), 1<<40)) - 1 }

// count is the length of an array whose elements take at least size bytes.
func (d *decoder) count(size int64) int { return d.checked(int64(d.int32()), size) }

func (d *decoder) compactCount(size int64) int { return d.checked(d.compactLength(), size) }

func (d *decoder) checked(n, size int64) int {
	if n <= 0 || d.err != nil {
		return 0
	}
	if n > d.left/size {
		d.err = fmt.Errorf("%w: it announces %d elements in %d bytes", errMalformed, n, d.left)
		return 0
	}
	return int(n)
}

// tags skips the tagged fields that end a flexible structure.
func (d *decoder) tags() {
	for range d.checked(int64(min(d.uvarint(), 1<<40)), 2) {
		d.uvarint()
		d.skip(int64(min(d.uvarint(), 1<<40)))
	}
}
