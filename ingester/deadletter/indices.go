package deadletter

import (
	"fmt"
	"math/bits"
	"strconv"
	"strings"
)

// indices is a set of indices of the records of a batch: 64 of them a word.
type indices map[int]uint64

func (s indices) add(i int) { s[i/64] |= 1 << (i % 64) }

func (s indices) has(i int) bool { return s[i/64]&(1<<(i%64)) != 0 }

// without is how many are in s and not in other.
func (s indices) without(other indices) int {
	n := 0
	for i, word := range s {
		n += bits.OnesCount64(word &^ other[i])
	}
	return n
}

// formatIndices writes ascending indices as ranges, such as 0-4,7.
func formatIndices(ascending []int) string {
	var b strings.Builder
	for i := 0; i < len(ascending); {
		from := i
		for i++; i < len(ascending) && ascending[i] == ascending[i-1]+1; i++ {
		}
		if b.Len() > 0 {
			b.WriteByte(',')
		}
		b.WriteString(strconv.Itoa(ascending[from]))
		if i-from > 1 {
			fmt.Fprintf(&b, "-%d", ascending[i-1])
		}
	}
	return b.String()
}

// addFormatted adds what formatIndices wrote.
func (s indices) addFormatted(ranges string) error {
	for part := range strings.SplitSeq(ranges, ",") {
		first, last, isRange := strings.Cut(part, "-")
		from, err := strconv.Atoi(first)
		to := from
		if err == nil && isRange {
			to, err = strconv.Atoi(last)
		}
		if err != nil || from < 0 || to < from || to >= maxRecords {
			return fmt.Errorf("%w: records %q", errForeign, part)
		}
		for i := from; i <= to; i++ {
			s.add(i)
		}
	}
	return nil
}
