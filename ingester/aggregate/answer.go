package aggregate

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// MaxRows bounds the rows of an answer, times its numeric fields: so the memory
// of an answer stays within some ten MiB.
const MaxRows = 10_000

// ErrTooManyRows means that an answer would go beyond MaxRows.
var ErrTooManyRows = errors.New("the answer has too many rows")

// Query asks for the records of a span of time.
type Query struct {
	// From and To choose the windows that begin at From or later and before
	// To.
	From, To time.Time
	// By are fields of aggregation.groupBy to group by; nil means all of
	// them, an empty list that there is one row for each step.
	By []string
	// Step is how much time a row stands for, in whole windows; steps begin at
	// multiples of it since the Unix epoch. 0 means all of the time.
	Step time.Duration
}

// QueryError says what is wrong with a query.
type QueryError struct {
	Field  string // from, to, by or step
	Value  string
	Remedy string
}

func (e *QueryError) Error() string { return fmt.Sprintf("%s is %q: %s", e.Field, e.Value, e.Remedy) }

// Answer is what roll-ups say to a query. In whatever order and grouping
// roll-ups are added and answers merged, the rows are the same, but for the
// last digit of a sum. It is not safe for concurrent use.
type Answer struct {
	windows
	from, to, step int64 // milliseconds
	keep           []bool
	unplaced       cell
	key            []byte
}

// NewAnswer returns the answer of no roll-ups. Its error is a *QueryError.
func (p *Plan) NewAnswer(q Query) (*Answer, error) {
	a := &Answer{windows: newWindows(p, math.MaxInt, p.maxRows()+1), from: q.From.UnixMilli(), to: q.To.UnixMilli(), step: q.Step.Milliseconds()}
	if err := errors.Join(showable("to", q.To), showable("from", q.From)); err != nil {
		return nil, err
	}
	if a.to <= a.from {
		return nil, &QueryError{"to", q.To.UTC().Format(time.RFC3339), "it must be later than from, which is " + q.From.UTC().Format(time.RFC3339)}
	}
	if q.Step < 0 || q.Step%p.Window() != 0 {
		return nil, &QueryError{"step", q.Step.String(), fmt.Sprintf("write a multiple of the window, %v, or 0 for all of the time", p.Window())}
	}
	var err error
	a.keep, err = p.keep(q.By)
	return a, err
}

// showable refuses times that JSON can't show, or a step from there.
func showable(field string, t time.Time) error {
	if year := t.UTC().Year(); year < 1000 || year > 9000 {
		return &QueryError{field, strconv.FormatInt(t.Unix(), 10), "choose a time of the years 1000 to 9000"}
	}
	return nil
}

func (p *Plan) maxRows() int { return MaxRows / max(1, len(p.numeric)) }

// keep says which fields of groupBy are asked for.
func (p *Plan) keep(by []string) ([]bool, error) {
	keep := make([]bool, len(p.groupBy))
	for i := range keep {
		keep[i] = by == nil
	}
	for _, field := range by {
		i := slices.Index(p.groupBy, field)
		if i < 0 {
			return nil, &QueryError{"by", field, fmt.Sprintf("choose fields of aggregation.groupBy: %s", strings.Join(p.groupBy, ", "))}
		}
		keep[i] = true
	}
	return keep, nil
}

// Add merges a roll-up of the same plan, which stays as it is. After an error,
// ErrTooManyRows, the answer is of no use.
func (a *Answer) Add(r *Rollup) error {
	a.unplaced.merge(&r.unplaced, a.plan)
	for start, t := range r.tables {
		if start < a.from || start >= a.to {
			continue
		}
		if err := a.merge(a.stepOf(start), t, a.keep); err != nil {
			return err
		}
	}
	return nil
}

// Merge adds all of another answer to the same query, which stays as it is. Its
// error is that of Add.
func (a *Answer) Merge(other *Answer) error {
	a.unplaced.merge(&other.unplaced, a.plan)
	kept := slices.DeleteFunc(slices.Clone(other.keep), func(kept bool) bool { return !kept })
	for start, t := range other.tables {
		if err := a.merge(start, t, kept); err != nil {
			return err
		}
	}
	return nil
}

func (a *Answer) stepOf(start int64) int64 {
	if a.step == 0 {
		return a.from
	}
	return floor(start, a.step)
}

// merge adds a table, of whose keys it keeps some entries, to that of a step.
// Who asks for no fields gets one row with all records, whether they had a
// group or not.
func (a *Answer) merge(start int64, from *table, keep []bool) error {
	into := a.table(start)
	for i := range from.groups {
		a.key = project(a.key[:0], from.groups[i].key, keep)
		a.cell(into, a.key).merge(from.groups[i].cell, a.plan)
	}
	if from.other != nil {
		c := a.otherOf(into)
		c.merge(from.other, a.plan)
	}
	if a.left == 0 || len(a.tables) > a.plan.maxRows() {
		return ErrTooManyRows
	}
	return nil
}

func (a *Answer) otherOf(t *table) *cell {
	if slices.Contains(a.keep, true) {
		return a.other(t)
	}
	return a.cell(t, nil)
}
