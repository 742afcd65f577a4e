package aggregate

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
)

// Report is an answer as it is shown.
type Report struct {
	From time.Time `json:"from"`
	To   time.Time `json:"to"`
	// WindowSeconds is the finest step there is, and StepSeconds that of the
	// rows; 0 means that a row stands for all of the time.
	WindowSeconds int64    `json:"windowSeconds"`
	StepSeconds   int64    `json:"stepSeconds"`
	By            []string `json:"by"`
	// Numeric are the fields whose numbers are summed up.
	Numeric []string `json:"numeric"`
	Coverage
	// UnplacedRecords are in no row, whatever their time.
	UnplacedRecords int64 `json:"unplacedRecords,omitempty"`
	Rows            []Row `json:"rows"`
}

// Report returns the answer with what it covers.
func (a *Answer) Report(coverage Coverage) Report {
	r := Report{
		From: time.UnixMilli(a.from).UTC(), To: time.UnixMilli(a.to).UTC(),
		WindowSeconds: a.plan.window / 1000, StepSeconds: a.step / 1000,
		By: []string{}, Numeric: append([]string{}, a.plan.numeric...), Coverage: coverage, Rows: a.Rows(),
	}
	for i, field := range a.plan.groupBy {
		if a.keep[i] {
			r.By = append(r.By, field)
		}
	}
	r.UnplacedRecords, _ = a.Unplaced()
	return r
}

// WriteText writes a table for people, and what is missing from it.
func (r Report) WriteText(w io.Writer) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	quantiles := r.quantiles()
	fmt.Fprintln(table, strings.Join(r.headings(quantiles), "\t"))
	for _, row := range r.Rows {
		fmt.Fprintln(table, strings.Join(r.cells(row, quantiles), "\t"))
	}
	if err := table.Flush(); err != nil {
		return err
	}
	_, err := io.WriteString(w, r.remarks())
	return err
}

func (r Report) headings(quantiles []string) []string {
	columns := append([]string{"START"}, r.By...)
	columns = append(columns, "RECORDS", "BYTES")
	for _, field := range r.Numeric {
		columns = append(columns, field+" COUNT", "SUM", "MIN", "MAX")
		for _, q := range quantiles {
			columns = append(columns, "q"+q)
		}
	}
	return columns
}

// cells are a row's; a field that is missing is a dash, and so are the fields
// of other, but for the first, which says so.
func (r Report) cells(row Row, quantiles []string) []string {
	cells := []string{row.Start.Format(time.RFC3339)}
	for i, field := range r.By {
		switch value, found := row.Group[field]; {
		case found:
			cells = append(cells, string(value))
		case row.Other && i == 0:
			cells = append(cells, "(other)")
		default:
			cells = append(cells, "-")
		}
	}
	cells = append(cells, strconv.FormatInt(row.Records, 10), strconv.FormatInt(row.Bytes, 10))
	for _, field := range r.Numeric {
		n := row.Numbers[field]
		cells = append(cells, strconv.FormatInt(n.Count, 10), text(n.Sum), text(n.Min), text(n.Max))
		for _, q := range quantiles {
			x, found := n.Quantiles[q]
			if !found {
				cells = append(cells, "-")
				continue
			}
			cells = append(cells, text(&x))
		}
	}
	return cells
}

func text(x *float64) string {
	if x == nil {
		return "-"
	}
	return strconv.FormatFloat(*x, 'g', 6, 64)
}

// quantiles are those that any row has, in order.
func (r Report) quantiles() []string {
	var names []string
	for _, row := range r.Rows {
		for _, n := range row.Numbers {
			for q := range n.Quantiles {
				if !slices.Contains(names, q) {
					names = append(names, q)
				}
			}
		}
	}
	slices.SortFunc(names, func(a, b string) int {
		x, _ := strconv.ParseFloat(a, 64) // of our own writing
		y, _ := strconv.ParseFloat(b, 64)
		return int(1e6 * (x - y))
	})
	return names
}

func (r Report) remarks() string {
	remarks := fmt.Sprintf("\n%d segments", r.Segments)
	if r.Recomputed > 0 {
		remarks += fmt.Sprintf(", %d of them counted anew", r.Recomputed)
	}
	if r.Missing > 0 {
		remarks += fmt.Sprintf("; %d ARE MISSING from the rows", r.Missing)
	}
	if r.UnplacedRecords > 0 {
		remarks += fmt.Sprintf("; %d records are in no row, as their segments have too many windows", r.UnplacedRecords)
	}
	return remarks + "\n"
}
