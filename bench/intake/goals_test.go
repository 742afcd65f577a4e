package main

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// figures are of a run in which every goal is reached.
func figures() []Result {
	agree := func(r Result) Result { r.AcknowledgedRecords, r.DeliveredRecords = 100, 100; return r }
	return []Result{
		agree(Result{Contender: "ours Produced", Ours: true, Codec: "none", Acknowledgement: "in Kafka", Scenario: closed64, RecordsPerCPUSecond: 1.6e6, AllocationsPerRecord: 0.04}),
		agree(Result{Contender: "Bento", Peer: true, Codec: "none", Acknowledgement: "in Kafka", Scenario: closed64, RecordsPerCPUSecond: 0.3e6}),
		agree(Result{Contender: "Collector", Peer: true, Codec: "none", Acknowledgement: "in Kafka", Scenario: closed64, RecordsPerCPUSecond: 0.2e6}),
		agree(Result{Contender: "Collector, queue", Peer: true, Codec: "none", Acknowledgement: "in memory", Scenario: closed64, RecordsPerCPUSecond: 9e6}),
		agree(Result{Contender: "ours Produced", Ours: true, Codec: "none", Acknowledgement: "in Kafka", Scenario: rate500, P50Milliseconds: 0.5, P99Milliseconds: 4}),
		agree(Result{Contender: "ours Queued", Ours: true, Codec: "none", Acknowledgement: "in memory", Scenario: rate500, P50Milliseconds: 0.2, P99Milliseconds: 2}),
		agree(Result{Contender: "Bento", Peer: true, Codec: "none", Acknowledgement: "in Kafka", Scenario: rate500, P50Milliseconds: 0.6, P99Milliseconds: 9}),
		agree(Result{Contender: "Collector", Peer: true, Codec: "none", Acknowledgement: "in Kafka", Scenario: rate500, P50Milliseconds: 0.9, P99Milliseconds: 5}),
	}
}

func TestGoals(t *testing.T) {
	for name, tc := range map[string]struct {
		spoil  func([]Result)
		missed []string
	}{
		"all reached": {func([]Result) {}, nil},
		"too much CPU": {
			func(r []Result) { r[0].RecordsPerCPUSecond = 1.4e6 },
			[]string{
				"ours Produced, none: 1.40 M records a CPU-second, at least 1.5 M",
				"ours Produced, none: 4.7 times the records a CPU-second of Bento, at least 5",
			},
		},
		"too many allocations": {
			func(r []Result) { r[0].AllocationsPerRecord = 0.05 },
			[]string{"ours Produced, none: 0.050 allocations a record, below 0.05"},
		},
		"slower than the best peer of each quantile": {
			func(r []Result) { r[4].P50Milliseconds, r[4].P99Milliseconds = 0.6, 5 },
			[]string{
				"500 requests/s, p50: 0.60 ms, below Bento's 0.60 ms",
				"500 requests/s, p99: 5.00 ms, below Collector's 5.00 ms",
			},
		},
		"queued no faster": {
			func(r []Result) {
				r[4].Scenario, r[5].Scenario, r[5].P50Milliseconds = onKafka(rate500), onKafka(rate500), 0.4
			},
			[]string{"500 requests/s, real Kafka, p50: 0.40 ms queued, at most half of 0.50 ms in Kafka"},
		},
		"queued no faster than a broker without a disk": {
			func(r []Result) { r[5].P50Milliseconds = 0.4 },
			nil,
		},
		"a record lost": {
			func(r []Result) { r[5].DeliveredRecords-- },
			[]string{"ours Queued, none, 500 requests/s: every request answered and every acknowledged record delivered once: 0 failed, counts 1 k behind"},
		},
		"a record doubled": {
			func(r []Result) { r[0].DeliveredRecords++ },
			[]string{"ours Produced, none, 64 connections: every request answered and every acknowledged record delivered once: 0 failed, counts 1 too many"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			results := figures()
			tc.spoil(results)
			var missed []string
			for _, g := range goals(results) {
				if !g.Reached {
					missed = append(missed, g.What)
				}
			}
			if diff := cmp.Diff(tc.missed, missed); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestARunWithoutOursHasNoGoals(t *testing.T) {
	if g := goals(figures()[1:4]); len(g) != 0 {
		t.Errorf("goals: %v", g)
	}
}
