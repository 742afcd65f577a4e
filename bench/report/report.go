// Package report is how a bench shows what it has measured: a table in
// Markdown, the goals that were reached or missed, and a file with everything.
package report

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/logpipeline/logpipeline/bench/machine"
)

// Goal is something that the figures of one run must show.
type Goal struct {
	What    string
	Reached bool
}

// Want returns the goal that the format and its arguments tell of.
func Want(reached bool, format string, args ...any) Goal {
	return Goal{What: fmt.Sprintf(format, args...), Reached: reached}
}

// PrintGoals returns whether all are reached.
func PrintGoals(w io.Writer, goals []Goal) bool {
	all := true
	fmt.Fprintln(w, "\ngoals")
	for _, goal := range goals {
		verdict := "reached"
		if !goal.Reached {
			verdict, all = "MISSED ", false
		}
		fmt.Fprintf(w, "  %s  %s\n", verdict, goal.What)
	}
	return all
}

// PrintTable prints the rows, each with a cell for each column. The error is
// the writer's.
func PrintTable(w io.Writer, columns []string, rows [][]string) error {
	t := tabwriter.NewWriter(w, 0, 0, 1, ' ', 0)
	printRow(t, columns)
	printRow(t, slices.Repeat([]string{"---"}, len(columns)))
	for _, row := range rows {
		printRow(t, row)
	}
	return t.Flush()
}

func printRow(w io.Writer, cells []string) {
	fmt.Fprintf(w, "| %s\t|\n", strings.Join(cells, "\t| "))
}

// Write writes the results, with the machine that they are of, as JSON to a
// file, whose folder it makes; with an empty path it writes nothing. The errors
// are those of the file system.
func Write[R any](path string, results []R) error {
	if path == "" {
		return nil
	}
	document, err := json.MarshalIndent(struct {
		Machine machine.Machine `json:"machine"`
		Results []R             `json:"results"`
	}{machine.This(), results}, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, append(document, '\n'), 0o644)
}
