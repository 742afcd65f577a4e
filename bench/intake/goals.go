package main

import (
	"github.com/logpipeline/logpipeline/bench/report"
)

// goals holds the figures of ours against fixed numbers and against the peers
// that were measured in the same run. What was not measured is no goal.
func goals(results []Result) []report.Goal {
	g := countGoals(results)
	for _, codec := range []string{"none", "snappy"} {
		mine, found := find(results, "ours Produced", codec, closed64)
		if !found {
			continue
		}
		least := map[string]float64{"none": 1.5e6, "snappy": 1e6}[codec]
		g = append(g, report.Want(mine.RecordsPerCPUSecond >= least, "ours Produced, %s: %.2f M records a CPU-second, at least %.1f M", codec, mine.RecordsPerCPUSecond/1e6, least/1e6))
		if peer, found := best(results, codec, closed64, func(r Result) float64 { return -r.RecordsPerCPUSecond }); found {
			ratio := mine.RecordsPerCPUSecond / peer.RecordsPerCPUSecond
			g = append(g, report.Want(ratio >= 5, "ours Produced, %s: %.1f times the records a CPU-second of %s, at least 5", codec, ratio, peer.Contender))
		}
		g = append(g, report.Want(mine.AllocationsPerRecord < 0.05, "ours Produced, %s: %.3f allocations a record, below 0.05", codec, mine.AllocationsPerRecord))
	}
	return append(g, latencyGoals(results)...)
}

func countGoals(results []Result) []report.Goal {
	var g []report.Goal
	for _, r := range results {
		if r.Ours && (!r.countsAgree() || r.FailedRequests > 0) {
			g = append(g, report.Want(false, "%s, %s, %s: every request answered and every acknowledged record delivered once: %d failed, counts %s", r.Contender, r.Codec, r.Scenario, r.FailedRequests, r.counts()))
		}
	}
	return g
}

func latencyGoals(results []Result) []report.Goal {
	quantiles := []struct {
		name string
		of   func(Result) float64
	}{
		{"p50", func(r Result) float64 { return r.P50Milliseconds }},
		{"p99", func(r Result) float64 { return r.P99Milliseconds }},
	}
	var g []report.Goal
	for _, scenario := range []string{rate500, onKafka(rate500)} {
		mine, found := find(results, "ours Produced", "none", scenario)
		if !found {
			continue
		}
		for _, q := range quantiles {
			if peer, found := best(results, "none", scenario, q.of); found {
				g = append(g, report.Want(q.of(mine) < q.of(peer), "%s, %s: %.2f ms, below %s's %.2f ms", scenario, q.name, q.of(mine), peer.Contender, q.of(peer)))
			}
			// A broker without a disk answers almost as soon as a queue does: what
			// an early answer is worth shows on a real one alone.
			if queued, found := find(results, "ours Queued", "none", scenario); found && scenario != rate500 {
				g = append(g, report.Want(q.of(queued) <= q.of(mine)/2, "%s, %s: %.2f ms queued, at most half of %.2f ms in Kafka", scenario, q.name, q.of(queued), q.of(mine)))
			}
		}
	}
	return g
}

func find(results []Result, contender, codec, scenario string) (Result, bool) {
	for _, r := range results {
		if r.Contender == contender && r.Codec == codec && r.Scenario == scenario {
			return r, true
		}
	}
	return Result{}, false
}

// best is the peer that has the smallest figure and, as ours, acknowledges
// what is in Kafka.
func best(results []Result, codec, scenario string, figure func(Result) float64) (Result, bool) {
	var winner Result
	found := false
	for _, r := range results {
		if r.Peer && r.Codec == codec && r.Scenario == scenario && r.Acknowledgement == string(inKafka) && (!found || figure(r) < figure(winner)) {
			winner, found = r, true
		}
	}
	return winner, found
}
