//go:build amd64 && !purego

package record

import "math/bits"

const (
	// blockBytes is how many bytes of a body one mask is about.
	blockBytes = 64
	// windowBlocks is how many masks are made at a time: so many that the call
	// doesn't count, so few that they and their bytes stay in the nearest cache.
	windowBlocks = 32
)

// plainText finds where the plain part of a string ends. It marks what isn't
// plain in many bytes at once, so that the end of a string is the next set bit,
// and not that of a loop, which a processor can't foresee. The method is that of
// stage 1 in Langdale and Lemire, "Parsing Gigabytes of JSON per Second" (2019).
type plainText struct {
	// marks are those of the block at base that are behind what was found last.
	marks uint64
	base  int
	// masks is about the bytes from from to to, both multiples of blockBytes;
	// the first byte of a block is the lowest bit.
	from, to int
	masks    [windowBlocks]uint64
}

// next is what find returns, where the last mark that was not passed is that of
// i-1, and the one behind it in the same block: as with most strings, whose
// opening quote is at i-1. It is small enough to be inlined.
func (p *plainText) next(i int) (end int, known bool) {
	marks := p.marks & (p.marks - 1)
	if marks == 0 || p.base+bits.TrailingZeros64(p.marks) != i-1 {
		return 0, false
	}
	p.marks = marks & (marks - 1)
	return p.base + bits.TrailingZeros64(marks), true
}

// find returns the offset of the first byte of data, at or behind i, that isn't
// plain; where there is none, one at or behind the end of data. Every call must
// be about the same data.
func (p *plainText) find(data []byte, i int) int {
	for i < len(data) {
		if i < p.from || i >= p.to {
			p.mark(data, i)
		}
		p.base = i &^ (blockBytes - 1)
		block, behind := (p.base-p.from)/blockBytes, ^uint64(0)<<(i%blockBytes)
		if marks := p.masks[block] & behind; marks != 0 {
			p.marks = marks & (marks - 1)
			return p.base + bits.TrailingZeros64(marks)
		}
		i = p.base + blockBytes
	}
	p.marks = 0
	return i
}

// mark fills masks, beginning with the block of data[i].
func (p *plainText) mark(data []byte, i int) {
	p.from = i &^ (blockBytes - 1)
	rest := data[p.from:]
	whole := min(len(rest)/blockBytes, windowBlocks)
	markSpecial(p.masks[:whole], rest)
	p.to = p.from + whole*blockBytes
	if whole < windowBlocks {
		// Nothing is read that lies behind the end; the zeros are marked.
		var last [blockBytes]byte
		copy(last[:], rest[whole*blockBytes:])
		markSpecial(p.masks[whole:whole+1], last[:])
		p.to += blockBytes
	}
}

// markSpecial makes the masks of whole blocks: data has 64 bytes for each.
func markSpecial(masks []uint64, data []byte) {
	if len(masks) > 0 {
		_ = data[len(masks)*blockBytes-1] // what follows checks no bounds
		markSpecialSSE2(&masks[0], &data[0], len(masks))
	}
}

// markSpecialSSE2 sets the bit in a mask for each byte that isn't plain.
//
//go:noescape
func markSpecialSSE2(masks *uint64, data *byte, blocks int)
