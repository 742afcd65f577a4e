package topics

import (
	"encoding/binary"
	"fmt"
)

// decoder reads the fields of a flexible response. After the first error it
// yields zero values; no length in the response makes it read past the end, or
// announce more elements than the rest could hold.
type decoder struct {
	rest []byte
	err  error
}

func (d *decoder) take(n int) []byte {
	if d.err == nil && (n < 0 || n > len(d.rest)) {
		d.err = fmt.Errorf("%w: it ends early", errMalformed)
	}
	if d.err != nil {
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

func (d *decoder) uvarint() uint64 {
	if d.err != nil {
		return 0
	}
	v, n := binary.Uvarint(d.rest)
	if n <= 0 {
		d.err = fmt.Errorf("%w: a number without end", errMalformed)
		return 0
	}
	d.rest = d.rest[n:]
	return v
}

// compactLength is a length that is written plus one; null is -1.
func (d *decoder) compactLength() int { return int(min(d.uvarint(), 1<<31)) - 1 }

func (d *decoder) compactString() string {
	n := d.compactLength()
	if n < 0 {
		return ""
	}
	return string(d.take(n))
}

// compactCount is the length of an array whose elements take at least size
// bytes.
func (d *decoder) compactCount(size int) int { return d.checked(d.compactLength(), size) }

func (d *decoder) checked(n, size int) int {
	if n <= 0 || d.err != nil {
		return 0
	}
	if n > len(d.rest)/size {
		d.err = fmt.Errorf("%w: it announces %d elements in %d bytes", errMalformed, n, len(d.rest))
		return 0
	}
	return n
}

// tags skips the tagged fields that end a structure.
func (d *decoder) tags() {
	for range d.checked(int(min(d.uvarint(), 1<<31)), 2) {
		d.uvarint()
		d.skip(int(min(d.uvarint(), 1<<31)))
	}
}
