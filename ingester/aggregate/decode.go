package aggregate

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math"

	"github.com/DataDog/sketches-go/ddsketch/store"
)

var (
	// ErrDamaged means bytes that are no roll-up of this format any more:
	// compute it again.
	ErrDamaged = errors.New("the roll-up is damaged")
	// ErrOtherConfiguration means a roll-up that was computed with another
	// configuration, or written by a newer release: compute it again.
	ErrOtherConfiguration = errors.New("the roll-up is of another configuration")
)

// headerBytes is what comes before the fields of variable length.
const headerBytes = len(magic) + 1 + 32

// Decode reads what Encode has written, and of which segment it is. The error
// is an ErrDamaged or an ErrOtherConfiguration.
func (p *Plan) Decode(document []byte) (*Rollup, Source, error) {
	r, of, err := p.decode(document)
	if err != nil {
		return nil, Source{}, fmt.Errorf("decode roll-up: %w", err)
	}
	return r, of, nil
}

func (p *Plan) decode(document []byte) (*Rollup, Source, error) {
	if len(document) < headerBytes+4 || string(document[:len(magic)]) != magic {
		return nil, Source{}, fmt.Errorf("%w: it does not begin as one", ErrDamaged)
	}
	content, checksum := document[:len(document)-4], binary.LittleEndian.Uint32(document[len(document)-4:])
	if crc32.Checksum(content, castagnoli) != checksum {
		return nil, Source{}, fmt.Errorf("%w: its checksum is wrong", ErrDamaged)
	}
	if version := content[len(magic)]; version != formatVersion {
		return nil, Source{}, fmt.Errorf("%w: it has format version %d, and this release reads %d", ErrOtherConfiguration, version, formatVersion)
	}
	if !bytes.Equal(content[len(magic)+1:headerBytes], p.hash[:]) {
		return nil, Source{}, ErrOtherConfiguration
	}
	d := decoder{in: content[headerBytes:], plan: p}
	r, of := d.rollup()
	if d.err == nil && len(d.in) > 0 {
		d.fail("%d bytes follow it", len(d.in))
	}
	return r, of, d.err
}

// decoder reads fields one after the other. After the first error it reads
// zeros, and consumes nothing.
type decoder struct {
	in   []byte
	plan *Plan
	err  error
	read []bin // of one store; used again for the next
}

func (d *decoder) fail(format string, args ...any) {
	if d.err == nil {
		d.err = fmt.Errorf("%w: %s", ErrDamaged, fmt.Sprintf(format, args...))
		d.in = nil
	}
}

func (d *decoder) take(n int64) []byte {
	if n > int64(len(d.in)) {
		d.fail("it ends early")
		return nil
	}
	taken := d.in[:n]
	d.in = d.in[n:]
	return taken
}

// maxCount keeps sums of counts from overflowing; no topic has so many records.
const maxCount = 1 << 53

func (d *decoder) unsigned() int64 {
	n, width := binary.Uvarint(d.in)
	if width <= 0 {
		d.fail("it ends within a number")
		return 0
	}
	d.in = d.in[width:]
	return int64(min(n, math.MaxInt64))
}

func (d *decoder) signed() int64 {
	n, width := binary.Varint(d.in)
	if width <= 0 {
		d.fail("it ends within a number")
		return 0
	}
	d.in = d.in[width:]
	return n
}

func (d *decoder) count() int64 {
	n := d.unsigned()
	if n > maxCount {
		d.fail("%d is too large a count", n)
		return 0
	}
	return n
}

func (d *decoder) fraction() float64 {
	b := d.take(8)
	if b == nil {
		return 0
	}
	f := math.Float64frombits(binary.LittleEndian.Uint64(b))
	if math.IsNaN(f) || math.IsInf(f, 0) {
		d.fail("%v is no finite number", f)
		return 0
	}
	return f
}

func (d *decoder) rollup() (*Rollup, Source) {
	of := Source{Topic: string(d.take(d.unsigned())), TopicID: string(d.take(d.unsigned()))}
	of.Partition = int32(min(d.unsigned(), math.MaxInt32))
	of.BaseOffset, of.NextOffset = d.unsigned(), d.unsigned()
	r := d.plan.NewRollup()
	r.unplaced = cell{records: d.count(), bytes: d.count()}
	n := d.unsigned()
	if n > maxWindows {
		d.fail("it has %d windows", n)
	}
	before := int64(math.MinInt64)
	for i := int64(0); i < n && d.err == nil; i++ {
		window := d.signed()
		if window <= before || window > math.MaxInt64/d.plan.window || window < math.MinInt64/d.plan.window {
			d.fail("window %d follows window %d", window, before)
			break
		}
		d.table(r, window*d.plan.window)
		before = window
	}
	return r, of
}

func (d *decoder) table(r *Rollup, start int64) {
	t := r.table(start)
	if d.unsigned() != 0 {
		t.other = d.cell()
	}
	n := d.unsigned()
	if n > int64(min(r.perWindow, r.left)) {
		d.fail("it has more groups than its configuration allows")
	}
	var before []byte
	for i := int64(0); i < n && d.err == nil; i++ {
		key := d.take(d.unsigned())
		if err := checkKey(key, len(d.plan.groupBy)); err != nil && d.err == nil {
			d.fail("%v", err)
		}
		if i > 0 && bytes.Compare(key, before) <= 0 {
			d.fail("groups are out of order")
		}
		before = key
		_, hash := t.find(key)
		t.insert(key, hash, d.cell())
		r.left--
	}
}

func (d *decoder) cell() *cell {
	c := newCell(d.plan)
	c.records, c.bytes = d.count(), d.count()
	for i := range c.numbers {
		d.number(&c.numbers[i])
	}
	return c
}

func (d *decoder) number(n *number) {
	n.count, n.skipped = d.count(), d.count()
	if n.count == 0 {
		return
	}
	n.sum = sum{d.fraction(), d.fraction()}
	if most := maxNumber * float64(n.count); math.Abs(n.sum.high) > most || math.Abs(n.sum.low) > most {
		d.fail("%v is no sum of %d numbers", n.sum, n.count)
	}
	n.min, n.max = d.fraction(), d.fraction()
	n.sketch = newSketch(d.plan.mapping)
	zeros := d.count()
	if err := n.sketch.AddWithCount(0, float64(zeros)); err != nil {
		d.fail("%v", err)
	}
	d.bins(n.sketch.GetPositiveValueStore())
	d.bins(n.sketch.GetNegativeValueStore())
	if d.err == nil && int64(n.sketch.GetCount()) != n.count {
		d.fail("a sketch of %v numbers stands for %d", n.sketch.GetCount(), n.count)
	}
	if n.min > n.max || n.min < -maxNumber || n.max > maxNumber {
		d.fail("%v is no smallest number beside a largest of %v", n.min, n.max)
	}
}

// maxIndex is beyond the bins of all float64: 709 / ln(1.01/0.99) of them on
// each side of 1, and an offset of the mapping.
const maxIndex = 1 << 17

func (d *decoder) bins(s store.Store) {
	n, before := d.unsigned(), int64(0)
	if n > maxBins {
		d.fail("a sketch has %d bins", n)
	}
	d.read = d.read[:0]
	for i := int64(0); i < n && d.err == nil; i++ {
		b := bin{before + d.signed(), d.count()}
		if b.count == 0 || b.index < -maxIndex || b.index > maxIndex || i > 0 && b.index <= before {
			d.fail("bin %d follows bin %d", b.index, before)
			break
		}
		d.read = append(d.read, b)
		before = b.index
	}
	// From both ends: so the store knows at once how much room it needs.
	for i := range d.read {
		b := d.read[(i+len(d.read)-1)%len(d.read)]
		s.AddWithCount(int(b.index), float64(b.count))
	}
}
