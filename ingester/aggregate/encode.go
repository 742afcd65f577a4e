package aggregate

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"hash/crc32"
	"maps"
	"math"
	"slices"

	"github.com/DataDog/sketches-go/ddsketch/store"
)

// An encoded roll-up is, with all numbers little-endian or varints as
// encoding/binary has them:
//
//	magic, format version (1 byte), hash of the configuration (32 bytes)
//	topic, topic id (each its length and bytes), partition, base and next offset
//	records and bytes without a window
//	the number of windows, and for each, in order of time:
//	  its start in windows since the Unix epoch
//	  1 and its other records, or 0
//	  the number of groups, and for each, in order of keys: length, key, cell
//	CRC32C of all before (4 bytes)
//
// A cell is records, bytes and for each numeric field the counts of numbers
// and of skipped values; with numbers then sum (two float64), smallest and
// largest (float64), how many the sketch has as zero, and its bins of positive
// and of negative numbers: how many, and for each the distance to the index of
// the one before and its count.
const (
	magic         = "LPRU"
	formatVersion = 1
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Encode returns the roll-up as bytes; those of equal content are equal.
func (r *Rollup) Encode(of Source) []byte {
	e := encoder{append(append([]byte(magic), formatVersion), r.plan.hash[:]...)}
	e.text(of.Topic)
	e.text(of.TopicID)
	e.unsigned(int64(of.Partition))
	e.unsigned(of.BaseOffset)
	e.unsigned(of.NextOffset)
	e.unsigned(r.unplaced.records)
	e.unsigned(r.unplaced.bytes)
	e.unsigned(int64(len(r.tables)))
	for _, start := range slices.Sorted(maps.Keys(r.tables)) {
		e.signed(start / r.plan.window)
		e.table(r.tables[start])
	}
	return binary.LittleEndian.AppendUint32(e.out, crc32.Checksum(e.out, castagnoli))
}

type encoder struct{ out []byte }

func (e *encoder) unsigned(n int64) { e.out = binary.AppendUvarint(e.out, uint64(n)) }
func (e *encoder) signed(n int64)   { e.out = binary.AppendVarint(e.out, n) }
func (e *encoder) text(s string)    { e.unsigned(int64(len(s))); e.out = append(e.out, s...) }
func (e *encoder) fraction(f float64) {
	e.out = binary.LittleEndian.AppendUint64(e.out, math.Float64bits(f))
}

func (e *encoder) table(t *table) {
	if t.other == nil {
		e.unsigned(0)
	} else {
		e.unsigned(1)
		e.cell(t.other)
	}
	groups := slices.SortedFunc(slices.Values(t.groups), func(a, b group) int { return bytes.Compare(a.key, b.key) })
	e.unsigned(int64(len(groups)))
	for _, g := range groups {
		e.text(string(g.key))
		e.cell(g.cell)
	}
}

func (e *encoder) cell(c *cell) {
	e.unsigned(c.records)
	e.unsigned(c.bytes)
	for i := range c.numbers {
		e.number(&c.numbers[i])
	}
}

func (e *encoder) number(n *number) {
	e.unsigned(n.count)
	e.unsigned(n.skipped)
	if n.count == 0 {
		return
	}
	for _, f := range [...]float64{n.sum.high, n.sum.low, n.min, n.max} {
		e.fraction(f)
	}
	e.unsigned(int64(n.sketch.GetZeroCount()))
	e.bins(n.sketch.GetPositiveValueStore())
	e.bins(n.sketch.GetNegativeValueStore())
}

type bin struct{ index, count int64 }

func (e *encoder) bins(s store.Store) {
	var bins []bin
	s.ForEach(func(index int, count float64) bool {
		bins = append(bins, bin{int64(index), int64(count)})
		return false
	})
	slices.SortFunc(bins, func(a, b bin) int { return cmp.Compare(a.index, b.index) })
	e.unsigned(int64(len(bins)))
	before := int64(0)
	for _, b := range bins {
		e.signed(b.index - before)
		e.unsigned(b.count)
		before = b.index
	}
}
