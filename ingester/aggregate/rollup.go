package aggregate

import (
	"bytes"

	"github.com/logpipeline/logpipeline/ingester/record"
)

// Rollup aggregates one segment. It is not safe for concurrent use.
//
// It holds at most aggregation.maxGroups groups for each window, four times as
// many for all, and the first ones it meets: those that come later are counted
// as Other. For each numeric field a group takes from 1 to 32 KiB, as its
// numbers are spread.
type Rollup struct {
	windows
	// unplaced is what lies in windows beyond maxWindows; it has no numbers.
	unplaced cell

	values []record.Value // of the record at hand
	key    []byte
}

// NewRollup returns a roll-up of no records.
func (p *Plan) NewRollup() *Rollup {
	return &Rollup{
		windows: newWindows(p, p.maxGroups, rollupGroups*p.maxGroups),
		values:  make([]record.Value, p.paths.Len()),
	}
}

// Add counts the records of one record batch: lines that each end with '\n',
// and the batch's timestamp (the smallest of its records) in milliseconds since
// the Unix epoch. lines is not kept. A line that is no JSON object has none of
// the fields.
func (r *Rollup) Add(lines []byte, timestamp int64) {
	if len(lines) == 0 {
		return
	}
	t := r.tableAt(r.plan.windowOf(timestamp))
	for len(lines) > 0 {
		end := bytes.IndexByte(lines, '\n')
		if end < 0 {
			end = len(lines) - 1 // never: every line ends
		}
		c := &r.unplaced
		if t != nil {
			c = r.count(t, lines[:end])
		}
		c.records++
		c.bytes += int64(end)
		lines = lines[end+1:]
	}
}

// tableAt is nil beyond the bound of windows.
func (r *Rollup) tableAt(start int64) *table {
	if len(r.tables) >= maxWindows && r.tables[start] == nil {
		return nil
	}
	return r.table(start)
}

// count finds the cell of a line, and counts its numbers there.
func (r *Rollup) count(t *table, line []byte) *cell {
	p := r.plan
	p.paths.Lookup(line, r.values)
	c := r.cellOf(t)
	for i := range c.numbers {
		c.numbers[i].add(r.values[p.numberAt[i]], p.mapping)
	}
	return c
}

func (r *Rollup) cellOf(t *table) *cell {
	r.key = r.key[:0]
	for _, at := range r.plan.groupAt {
		var ok bool
		if r.key, ok = appendValue(r.key, r.values[at]); !ok {
			return r.other(t)
		}
	}
	return r.cell(t, r.key)
}
