package aggregate

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"time"
)

// Row is one group in one step of time.
type Row struct {
	Start time.Time `json:"start"`
	End   time.Time `json:"end"`
	// Group has the values, as JSON, of the fields that were asked for; a
	// field that the records don't have is not in it. It is nil for Other.
	Group map[string]json.RawMessage `json:"group,omitzero"`
	// Other marks the row of all records that found no place in a group of
	// their own. Any group may have more records among them.
	Other   bool  `json:"other,omitempty"`
	Records int64 `json:"records"`
	// Bytes are those of the records, as JSON, without line breaks.
	Bytes   int64              `json:"bytes"`
	Numbers map[string]Numbers `json:"numbers,omitempty"`
}

// Numbers sum up one numeric field.
type Numbers struct {
	// Count is how many numbers there are, and Skipped how many values that
	// are none, or are beyond ±1e288.
	Count   int64 `json:"count"`
	Skipped int64 `json:"skipped,omitempty"`
	// Sum, Min, Max and Quantiles are nil where Count is 0.
	Sum       *float64           `json:"sum,omitempty"`
	Min       *float64           `json:"min,omitempty"`
	Max       *float64           `json:"max,omitempty"`
	Quantiles map[string]float64 `json:"quantiles,omitempty"`
}

// Unplaced are the records, and their bytes, that roll-ups hold outside of any
// window, because a segment had more than 3600 of them.
func (a *Answer) Unplaced() (records, bytes int64) { return a.unplaced.records, a.unplaced.bytes }

// Rows are in order of time, groups in order of their values: missing ones,
// strings, numbers (as text), all else. Other is last.
func (a *Answer) Rows() []Row {
	rows := []Row{}
	for _, start := range slices.Sorted(maps.Keys(a.tables)) {
		t := a.tables[start]
		groups := slices.SortedFunc(slices.Values(t.groups), func(x, y group) int { return compareKeys(x.key, y.key) })
		for _, g := range groups {
			row := a.row(start, g.cell)
			row.Group = a.plan.groupOf(g.key, a.keep)
			rows = append(rows, row)
		}
		if t.other != nil {
			row := a.row(start, t.other)
			row.Other = true
			rows = append(rows, row)
		}
	}
	return rows
}

func (a *Answer) row(start int64, c *cell) Row {
	end := start + a.step
	if a.step == 0 {
		end = a.to
	}
	row := Row{Start: time.UnixMilli(start).UTC(), End: time.UnixMilli(end).UTC(), Records: c.records, Bytes: c.bytes}
	if len(c.numbers) > 0 {
		row.Numbers = make(map[string]Numbers, len(c.numbers))
	}
	for i := range c.numbers {
		row.Numbers[a.plan.numeric[i]] = a.plan.summary(&c.numbers[i])
	}
	return row
}

// groupOf is what a key says, which has the entries that keep names.
func (p *Plan) groupOf(key []byte, keep []bool) map[string]json.RawMessage {
	values := make(map[string]json.RawMessage)
	for i, field := range p.groupBy {
		if !keep[i] {
			continue
		}
		first, rest, err := cutEntry(key)
		if err != nil {
			panic(err) // the key is our own
		}
		if document := first.document(); document != nil {
			values[field] = document
		}
		key = rest
	}
	return values
}

func (p *Plan) summary(n *number) Numbers {
	s := Numbers{Count: n.count, Skipped: n.skipped}
	if n.count == 0 {
		return s
	}
	total, least, most := n.sum.value(), n.min, n.max
	s.Sum, s.Min, s.Max = &total, &least, &most
	s.Quantiles = make(map[string]float64, len(p.quantiles))
	for _, q := range p.quantiles {
		s.Quantiles[strconv.FormatFloat(q, 'g', -1, 64)] = n.quantile(q)
	}
	return s
}
