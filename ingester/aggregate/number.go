package aggregate

import (
	"math"
	"strconv"

	"github.com/DataDog/sketches-go/ddsketch"
	"github.com/DataDog/sketches-go/ddsketch/mapping"
	"github.com/DataDog/sketches-go/ddsketch/store"

	"github.com/logpipeline/logpipeline/ingester/record"
)

const (
	// maxNumber bounds the magnitude of numbers that are summed: no sum of
	// 2^63 of them is beyond what a float64 holds.
	maxNumber = 1e288
	// maxBins bounds the bins of a sketch for each sign, of 8 bytes each.
	// They reach over 17 decades below the largest magnitude; what is smaller
	// counts as the smallest of them.
	maxBins = 2048
)

// number is what is known of one field's numbers in one group.
type number struct {
	count   int64
	skipped int64 // values that are no number, or too large a one
	sum     sum
	min     float64
	max     float64
	sketch  *ddsketch.DDSketch // nil until the first number
}

// newSketch returns a DDSketch (Masson, Rim, Lee: "DDSketch: a fast and
// fully-mergeable quantile sketch with relative-error guarantees", VLDB 2019).
func newSketch(m mapping.IndexMapping) *ddsketch.DDSketch {
	return ddsketch.NewDDSketch(m, store.NewCollapsingLowestDenseStore(maxBins), store.NewCollapsingLowestDenseStore(maxBins))
}

// add counts a field's value, if the record has one.
func (n *number) add(v record.Value, m mapping.IndexMapping) {
	if v.Kind == record.NoValue {
		return
	}
	if v.Kind == record.NumberValue {
		// The conversion lies on the stack for all numbers but absurdly long ones.
		x, err := strconv.ParseFloat(string(v.Raw), 64)
		if err == nil && math.Abs(x) <= maxNumber {
			n.addNumber(x, m)
			return
		}
	}
	n.skipped++
}

func (n *number) addNumber(x float64, m mapping.IndexMapping) {
	if n.count == 0 {
		n.min, n.max, n.sketch = x, x, newSketch(m)
	}
	n.count++
	n.sum.add(x)
	n.min, n.max = min(n.min, x), max(n.max, x)
	if err := n.sketch.Add(x); err != nil {
		panic(err) // x is finite and within the sketch's range
	}
}

// merge adds what other knows, and leaves other as it is.
func (n *number) merge(other *number, m mapping.IndexMapping) {
	n.skipped += other.skipped
	if other.count == 0 {
		return
	}
	if n.count == 0 {
		n.min, n.max, n.sketch = other.min, other.max, newSketch(m)
	}
	n.count += other.count
	n.sum.merge(other.sum)
	n.min, n.max = min(n.min, other.min), max(n.max, other.max)
	if err := n.sketch.MergeWith(other.sketch); err != nil {
		panic(err) // all sketches of a plan share its mapping
	}
}

// quantile is the value of rank q, from 0 to 1, within QuantileError. There
// must be numbers.
func (n *number) quantile(q float64) float64 {
	x, err := n.sketch.GetValueAtQuantile(q)
	if err != nil {
		panic(err) // q is valid, and the sketch not empty
	}
	return min(max(x, n.min), n.max)
}

// sum is a sum of float64 in twice their precision: the high part is the sum
// so far, the low part what rounding has cost it (Knuth, "The Art of Computer
// Programming", volume 2, section 4.2.2, theorem B). Parts of a sum may be
// added in any order and give the same float64 but in freak cases, where they
// differ in its last digit.
type sum struct{ high, low float64 }

func (s *sum) add(x float64) {
	high := s.high + x
	back := high - s.high
	s.low += (s.high - (high - back)) + (x - back)
	s.high = high
}

func (s *sum) merge(other sum) {
	s.add(other.high)
	s.low += other.low
}

func (s sum) value() float64 { return s.high + s.low }
