package main

import (
	"github.com/logpipeline/logpipeline/bench/report"
)

// leastOfOurs are records per CPU-second, by the topic's codec, of segments
// that are stored uncompressed.
var leastOfOurs = map[string]float64{topicNone: 3e6, topicLZ4: 2e6}

// leastRatio is ours over the best of the peers, on an uncompressed topic.
const leastRatio = 5

// goals holds what ours stored against the topic and, unless the run was only
// a quick look, the figures against fixed numbers and against the peers of the
// same run. What was not measured is no goal.
func goals(results []Result, quick bool) []report.Goal {
	var g []report.Goal
	for _, r := range results {
		if r.Kind == string(ours) {
			g = append(g, report.Want(r.exact(), "ours, topic %s, stored %s: every record once: %s", r.Topic, r.Stored, r.count()))
		}
	}
	if quick {
		return g // a process's start is too much of its time
	}
	for _, r := range results {
		if r.Kind != string(ours) || r.Stored != "none" {
			continue
		}
		least := leastOfOurs[r.Topic]
		g = append(g, report.Want(r.RecordsPerCPUSecond >= least, "ours, topic %s: %.2f M records a CPU-second, at least %.0f M", r.Topic, r.RecordsPerCPUSecond/1e6, least/1e6))
		if best, found := bestPeer(results, r.Topic); found && r.Topic == topicNone {
			ratio := r.RecordsPerCPUSecond / best.RecordsPerCPUSecond
			g = append(g, report.Want(ratio >= leastRatio, "ours, topic %s: %.1f times the records a CPU-second of %s, at least %d", r.Topic, ratio, best.Contender, leastRatio))
		}
	}
	return g
}

// bestPeer is the peer that stores most records per CPU-second of the topic
// with that codec.
func bestPeer(results []Result, topic string) (best Result, found bool) {
	for _, r := range results {
		if r.Kind == string(peer) && r.Topic == topic && r.RecordsPerCPUSecond > best.RecordsPerCPUSecond {
			best, found = r, true
		}
	}
	return best, found
}
