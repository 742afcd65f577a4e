package kafka

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/segmentio/kafka-go/protocol"
)

// begin starts a request's head in the room of dst: the size, to be filled in
// when it is sent, and the request header (version 1, or 2 when flexible).
func (c *Client) begin(r *request, key protocol.ApiKey, version int16, flexible bool) {
	r.key = key
	r.correlation = c.correlation.Add(1)
	h := append(r.head[:0], 0, 0, 0, 0)
	h = binary.BigEndian.AppendUint16(h, uint16(key))
	h = binary.BigEndian.AppendUint16(h, uint16(version))
	h = binary.BigEndian.AppendUint32(h, uint32(r.correlation))
	h = appendString(h, c.config.ClientID)
	if flexible {
		h = append(h, 0) // no tagged fields
	}
	r.head = h
}

func appendInt16(b []byte, v int16) []byte { return binary.BigEndian.AppendUint16(b, uint16(v)) }
func appendInt32(b []byte, v int32) []byte { return binary.BigEndian.AppendUint32(b, uint32(v)) }
func appendInt64(b []byte, v int64) []byte { return binary.BigEndian.AppendUint64(b, uint64(v)) }

func appendString(b []byte, s string) []byte {
	return append(appendInt16(b, int16(len(s))), s...)
}

func appendCompactString(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))+1), s...)
}

var errTruncated = errors.New("response ends early")

// decoder reads the fields of a response. After the first error it yields
// zero values; no length in the response makes it read past the end or
// allocate more than the response is long.
type decoder struct {
	rest []byte
	err  error
}

func (d *decoder) take(n int) []byte {
	if d.err != nil {
		return nil
	}
	if n < 0 || n > len(d.rest) {
		d.err = errTruncated
		return nil
	}
	taken := d.rest[:n:n]
	d.rest = d.rest[n:]
	return taken
}

func (d *decoder) skip(n int) { d.take(n) }

func (d *decoder) int16() int16 {
	if b := d.take(2); b != nil {
		return int16(binary.BigEndian.Uint16(b))
	}
	return 0
}

func (d *decoder) int32() int32 {
	if b := d.take(4); b != nil {
		return int32(binary.BigEndian.Uint32(b))
	}
	return 0
}

func (d *decoder) int64() int64 {
	if b := d.take(8); b != nil {
		return int64(binary.BigEndian.Uint64(b))
	}
	return 0
}

// bytes is a byte string after an int32 length; null is nil.
func (d *decoder) bytes() []byte {
	n := d.int32()
	if n < 0 {
		return nil
	}
	return d.take(int(n))
}

// string is a string after an int16 length; null is "".
func (d *decoder) string() string {
	n := d.int16()
	if n < 0 {
		return ""
	}
	return string(d.take(int(n)))
}

// count is the length of an array whose elements take at least size bytes.
func (d *decoder) count(size int) int { return d.checkCount(int64(d.int32()), size) }

func (d *decoder) uvarint() uint64 {
	if d.err != nil {
		return 0
	}
	v, n := binary.Uvarint(d.rest)
	if n <= 0 {
		d.err = errTruncated
		return 0
	}
	d.rest = d.rest[n:]
	return v
}

// compactLength is the length that flexible versions write plus one; null is
// -1.
func (d *decoder) compactLength() int64 {
	v := d.uvarint()
	if v > 1<<31 {
		d.err = errTruncated
		return 0
	}
	return int64(v) - 1
}

func (d *decoder) compactString() string {
	n := d.compactLength()
	if n < 0 {
		return ""
	}
	return string(d.take(int(n)))
}

func (d *decoder) compactCount(size int) int { return d.checkCount(d.compactLength(), size) }

func (d *decoder) checkCount(n int64, size int) int {
	if n <= 0 || d.err != nil {
		return 0
	}
	if n*int64(size) > int64(len(d.rest)) {
		d.err = fmt.Errorf("%w: it announces %d elements", errTruncated, n)
		return 0
	}
	return int(n)
}

// tags skips the tagged fields that end a flexible structure.
func (d *decoder) tags() {
	for range d.checkCount(int64(min(d.uvarint(), 1<<31)), 2) {
		d.uvarint()
		d.skip(int(min(d.uvarint(), 1<<31)))
	}
}

// newDecoder starts behind the response header (version 0, or 1 when
// flexible).
func newDecoder(response []byte, flexible bool) decoder {
	d := decoder{rest: response}
	d.skip(4) // correlation id
	if flexible {
		d.tags()
	}
	return d
}
