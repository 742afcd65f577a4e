package main

import (
	"fmt"
	"io"
)

// goal is something that the results of one run must show.
type goal struct {
	what    string
	reached bool
}

// leastOfOurs are records per CPU-second, by the topic's codec, of segments
// that are stored uncompressed.
var leastOfOurs = map[string]float64{topicNone: 3e6, topicLZ4: 2e6}

// leastRatio is ours over the best of the peers, on an uncompressed topic.
const leastRatio = 5

// goals holds what ours stored against the topic and, unless the run was only
// a quick look, the figures against fixed numbers and against the peers of the
// same run. What was not measured is no goal.
func goals(results []Result, quick bool) []goal {
	var g []goal
	for _, r := range results {
		if r.Kind == string(ours) {
			g = append(g, goal{fmt.Sprintf("ours, topic %s, stored %s: every record once: %s", r.Topic, r.Stored, r.count()), r.exact()})
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
		g = append(g, goal{fmt.Sprintf("ours, topic %s: %.2f M records a CPU-second, at least %.0f M", r.Topic, r.RecordsPerCPUSecond/1e6, least/1e6), r.RecordsPerCPUSecond >= least})
		if best, found := bestPeer(results, r.Topic); found && r.Topic == topicNone {
			ratio := r.RecordsPerCPUSecond / best.RecordsPerCPUSecond
			g = append(g, goal{fmt.Sprintf("ours, topic %s: %.1f times the records a CPU-second of %s, at least %d", r.Topic, ratio, best.Contender, leastRatio), ratio >= leastRatio})
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

// printGoals returns whether all are reached.
func printGoals(w io.Writer, g []goal) bool {
	all := true
	fmt.Fprintln(w, "\ngoals")
	for _, goal := range g {
		verdict := "reached"
		if !goal.reached {
			verdict, all = "MISSED ", false
		}
		fmt.Fprintf(w, "  %s  %s\n", verdict, goal.what)
	}
	return all
}
