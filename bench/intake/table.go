package main

import (
	"fmt"
	"io"
	"slices"

	"github.com/logpipeline/logpipeline/bench/report"
)

var columns = []string{
	"contender", "codec", "acknowledged when", "JSON checked", "k records/CPU-s", "k records/s", "cores",
	"p50 ms", "p99 ms", "p99.9 ms", "RSS MiB (peak)", "allocations/record", "broker cores", "refused", "failed", "counts",
}

// printTables prints a table in Markdown for each scenario, in the order in
// which they were measured.
func printTables(w io.Writer, results []Result) error {
	var scenarios []string
	for _, r := range results {
		if !slices.Contains(scenarios, r.Scenario) {
			scenarios = append(scenarios, r.Scenario)
		}
	}
	for _, s := range scenarios {
		fmt.Fprintf(w, "\n**%s**\n\n", s)
		var rows [][]string
		for _, r := range results {
			if r.Scenario == s {
				rows = append(rows, r.row())
			}
		}
		if err := report.PrintTable(w, columns, rows); err != nil {
			return err
		}
	}
	return nil
}

func (r Result) row() []string {
	checked, allocations, brokerCores := "no", "", ""
	if r.ChecksJSON {
		checked = "yes"
	}
	if r.AllocationsPerRecord > 0 {
		allocations = fmt.Sprintf("%.3f", r.AllocationsPerRecord)
	}
	if r.BrokerCores > 0 {
		brokerCores = fmt.Sprintf("%.2f", r.BrokerCores)
	}
	return []string{
		r.Contender, r.Codec, r.Acknowledgement, checked,
		fmt.Sprintf("%.0f", r.RecordsPerCPUSecond/1000), fmt.Sprintf("%.0f", r.RecordsPerSecond/1000), fmt.Sprintf("%.2f", r.Cores),
		fmt.Sprintf("%.2f", r.P50Milliseconds), fmt.Sprintf("%.2f", r.P99Milliseconds), fmt.Sprintf("%.2f", r.P999Milliseconds),
		fmt.Sprintf("%d (%d)", r.ResidentMiB, r.ResidentPeakMiB), allocations, brokerCores,
		fmt.Sprint(r.RefusedRequests), fmt.Sprint(r.FailedRequests), r.counts(),
	}
}

// counts says in a word whether what was acknowledged arrived.
func (r Result) counts() string {
	switch behind := r.AcknowledgedRecords - r.DeliveredRecords; {
	case r.countsAgree():
		return "agree"
	case behind > 0 && r.StoppedForMemory:
		return fmt.Sprintf("stopped for its memory, %d k behind", behind/1000)
	case behind > 0:
		return fmt.Sprintf("%d k behind", (behind+999)/1000)
	default:
		return fmt.Sprintf("%d too many", -behind)
	}
}
