//go:build !amd64 || purego

package record

import (
	"encoding/binary"
	"math/bits"
)

// plainText finds where the plain part of a string ends.
type plainText struct{}

// special marks, by its high bit, each byte of word that isn't plain. The
// subtractions may borrow from the next higher byte, so only the lowest mark is
// exact (Mycroft's test for a zero byte).
func special(word uint64) uint64 {
	control := word - ' '*eachByte
	quote := (word ^ '"'*eachByte) - eachByte
	backslash := (word ^ '\\'*eachByte) - eachByte
	return (control | quote | backslash | word) & highBits
}

// next knows nothing that find doesn't.
func (plainText) next(int) (end int, known bool) { return 0, false }

// find returns the offset of the first byte of data, at or behind i, that isn't
// plain; where there is none, one at or behind the end of data.
func (plainText) find(data []byte, i int) int {
	for ; len(data)-i >= 8; i += 8 {
		if marks := special(binary.LittleEndian.Uint64(data[i:])); marks != 0 {
			return i + bits.TrailingZeros64(marks)/8
		}
	}
	for i < len(data) && isPlain(data[i]) {
		i++
	}
	return i
}
