package record

import (
	"bytes"
	"math/rand/v2"
	"testing"
)

// next and find name the byte at which a loop over all bytes would stop, wherever
// they begin and whatever was asked before, also where a body is longer than
// what is marked at a time, and ends inside a block.
func TestPlainTextEndsWhereALoopWouldEnd(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for _, rarity := range []int{1, 4, 30, 300, 1 << 30} { // of what isn't plain
		for _, length := range []int{0, 1, 7, 8, 63, 64, 65, 500, 2047, 2048, 5000} {
			data := bytes.Repeat([]byte{'x'}, length)
			for i := range data {
				if random.IntN(rarity) == 0 {
					data[i] = byte(random.IntN(256))
				}
			}
			var plain plainText
			for i := 0; i < length; {
				want := i
				for want < length && isPlain(data[want]) {
					want++
				}
				got, known := plain.next(i)
				if !known {
					got = plain.find(data, i)
				}
				if got != want && (got < length || want < length) {
					t.Fatalf("of %d bytes, the plain ones from %d on end at %d, want %d (known: %v)", length, i, got, want, known)
				}
				if i = want + 1; random.IntN(4) == 0 {
					i += random.IntN(200)
				}
			}
		}
	}
}

// Every byte in every place of a block, alone and among others that aren't plain.
func TestPlainTextKnowsEveryByte(t *testing.T) {
	for c := range 256 {
		for at := range 130 {
			for _, around := range []byte{'x', 0x7f, ' '} {
				data := bytes.Repeat([]byte{around}, 140)
				data[at], data[at+1] = byte(c), '"'
				want := at + 1
				if !isPlain(byte(c)) {
					want = at
				}
				var plain plainText
				if got := plain.find(data, 0); got != want {
					t.Fatalf("byte 0x%02x at %d among 0x%02x: found %d, want %d", c, at, around, got, want)
				}
			}
		}
	}
}
