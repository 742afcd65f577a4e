package aggregate

import (
	"bytes"
	"hash/maphash"
)

// cell is what is known of the records of one group in one window.
type cell struct {
	records int64
	bytes   int64 // without line breaks
	numbers []number
}

func newCell(p *Plan) *cell { return &cell{numbers: make([]number, len(p.numeric))} }

func (c *cell) merge(other *cell, p *Plan) {
	c.records += other.records
	c.bytes += other.bytes
	for i := range c.numbers {
		c.numbers[i].merge(&other.numbers[i], p.mapping)
	}
}

// group is a cell and the values that its records share; see key.go.
type group struct {
	key  []byte
	hash uint64
	*cell
}

// table holds the groups of one window. They are found by open addressing with
// linear probing, from a seed that nobody can know who chooses the values.
type table struct {
	seed   maphash.Seed
	slots  []uint32 // index into groups plus 1; a power of two, at most half of them taken
	groups []group
	other  *cell // what has no group of its own; nil when there is nothing
}

const minSlots = 16

func newTable() *table {
	return &table{seed: maphash.MakeSeed(), slots: make([]uint32, minSlots)}
}

// find returns the cell of a group, or nil and the key's hash for insert. The
// key stays the caller's.
func (t *table) find(key []byte) (*cell, uint64) {
	hash := maphash.Bytes(t.seed, key)
	for i := hash; ; i++ {
		slot := t.slots[i&uint64(len(t.slots)-1)]
		if slot == 0 {
			return nil, hash
		}
		if g := &t.groups[slot-1]; g.hash == hash && bytes.Equal(g.key, key) {
			return g.cell, hash
		}
	}
}

// insert adds a group that find has not found.
func (t *table) insert(key []byte, hash uint64, c *cell) {
	t.groups = append(t.groups, group{bytes.Clone(key), hash, c})
	if 2*len(t.groups) <= len(t.slots) {
		t.place(len(t.groups))
		return
	}
	t.slots = make([]uint32, 2*len(t.slots))
	for i := range t.groups {
		t.place(i + 1)
	}
}

func (t *table) place(slot int) {
	i := t.groups[slot-1].hash
	for t.slots[i&uint64(len(t.slots)-1)] != 0 {
		i++
	}
	t.slots[i&uint64(len(t.slots)-1)] = uint32(slot)
}

// windows are tables by the start of their window, in milliseconds, within
// bounds: of the groups of each window and of all together.
type windows struct {
	plan      *Plan
	tables    map[int64]*table
	perWindow int
	left      int // groups that there is still room for
}

func newWindows(p *Plan, perWindow, overall int) windows {
	return windows{plan: p, tables: make(map[int64]*table), perWindow: perWindow, left: overall}
}

// table is that of a window; a new one for the first time.
func (w *windows) table(start int64) *table {
	t := w.tables[start]
	if t == nil {
		t = newTable()
		w.tables[start] = t
	}
	return t
}

// cell is that of a group, or other where the bounds leave it no place.
func (w *windows) cell(t *table, key []byte) *cell {
	c, hash := t.find(key)
	if c != nil {
		return c
	}
	if len(t.groups) >= w.perWindow || w.left == 0 {
		return w.other(t)
	}
	w.left--
	c = newCell(w.plan)
	t.insert(key, hash, c)
	return c
}

func (w *windows) other(t *table) *cell {
	if t.other == nil {
		t.other = newCell(w.plan)
	}
	return t.other
}
