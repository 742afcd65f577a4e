package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
)

var columns = []string{
	"contender", "topic", "stored as", "fsynced", "k records/CPU-s", "of the best peer", "k records/s", "CPU s", "wall s", "RSS MiB (peak)", "records",
}

// printTable prints a table in Markdown, in the order of measuring.
func printTable(w io.Writer, results []Result) error {
	t := tabwriter.NewWriter(w, 0, 0, 1, ' ', 0)
	printRow(t, columns)
	printRow(t, slices.Repeat([]string{"---"}, len(columns)))
	for _, r := range results {
		printRow(t, r.row(results))
	}
	return t.Flush()
}

func printRow(w io.Writer, cells []string) {
	fmt.Fprintf(w, "| %s\t|\n", strings.Join(cells, "\t| "))
}

func (r Result) row(all []Result) []string {
	synced, ratio := "no", ""
	if r.Synced {
		synced = "yes"
	}
	if best, found := bestPeer(all, r.Topic); found {
		ratio = fmt.Sprintf("%.1fx", r.RecordsPerCPUSecond/best.RecordsPerCPUSecond)
	}
	return []string{
		r.Contender, r.Topic, r.Stored, synced,
		fmt.Sprintf("%.0f", r.RecordsPerCPUSecond/1000), ratio, fmt.Sprintf("%.0f", r.RecordsPerSecond/1000),
		fmt.Sprintf("%.2f", r.CPUSeconds), fmt.Sprintf("%.1f", r.WallSeconds), fmt.Sprint(r.ResidentPeakMiB), r.count(),
	}
}
