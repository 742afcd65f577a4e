package main

import (
	"fmt"
	"io"

	"github.com/logpipeline/logpipeline/bench/report"
)

var columns = []string{
	"contender", "topic", "stored as", "fsynced", "k records/CPU-s", "of the best peer", "k records/s", "CPU s", "wall s", "RSS MiB (peak)", "records",
}

// printTable prints a table in Markdown, in the order of measuring.
func printTable(w io.Writer, results []Result) error {
	var rows [][]string
	for _, r := range results {
		rows = append(rows, r.row(results))
	}
	return report.PrintTable(w, columns, rows)
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
