package main

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// figures are of a run in which every goal is reached.
func figures() []Result {
	agree := func(r Result) Result {
		r.Records, r.StoredRecords, r.Stored = 100, 100, "none"
		if r.Kind == "ours" {
			r.VerifiedRecords = 100
		}
		return r
	}
	return []Result{
		agree(Result{Contender: "ours", Kind: "ours", Topic: "none", RecordsPerCPUSecond: 3.2e6}),
		agree(Result{Contender: "Bento", Kind: "peer", Topic: "none", RecordsPerCPUSecond: 0.2e6}),
		agree(Result{Contender: "rsyslog", Kind: "peer", Topic: "none", RecordsPerCPUSecond: 0.5e6}),
		agree(Result{Contender: "ours", Kind: "ours", Topic: "lz4", RecordsPerCPUSecond: 2.1e6}),
		agree(Result{Contender: "rsyslog", Kind: "peer", Topic: "lz4", RecordsPerCPUSecond: 0.5e6}),
		agree(Result{Contender: "kafka-go Reader", Kind: "baseline", Topic: "none", RecordsPerCPUSecond: 0.9e6}),
	}
}

func TestGoals(t *testing.T) {
	for name, tc := range map[string]struct {
		spoil  func([]Result)
		quick  bool
		missed []string
	}{
		"all reached": {func([]Result) {}, false, nil},
		"too much CPU": {func(r []Result) { r[0].RecordsPerCPUSecond, r[3].RecordsPerCPUSecond = 2.4e6, 1.9e6 }, false, []string{
			"ours, topic none: 2.40 M records a CPU-second, at least 3 M",
			"ours, topic none: 4.8 times the records a CPU-second of rsyslog, at least 5",
			"ours, topic lz4: 1.90 M records a CPU-second, at least 2 M",
		}},
		"too much CPU, in a quick look": {func(r []Result) { r[0].RecordsPerCPUSecond = 1 }, true, nil},
		"a record lost": {func(r []Result) { r[3].StoredRecords-- }, true, []string{
			"ours, topic lz4, stored none: every record once: 1 LOST",
		}},
		"records doubled": {func(r []Result) { r[0].StoredRecords += 2 }, true, []string{
			"ours, topic none, stored none: every record once: 2 DOUBLED",
		}},
		"not verified": {func(r []Result) { r[0].VerifiedRecords = 0 }, true, []string{
			"ours, topic none, stored none: every record once: NOT VERIFIED",
		}},
		"a peer that loses": {func(r []Result) { r[1].StoredRecords-- }, false, nil},
	} {
		t.Run(name, func(t *testing.T) {
			results := figures()
			tc.spoil(results)
			var missed []string
			for _, g := range goals(results, tc.quick) {
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

func TestTheTableShowsWhatIsLost(t *testing.T) {
	results := figures()
	results[1].StoredRecords = 97
	var table strings.Builder
	if err := printTable(&table, results); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"| 3 LOST", "| exact, verified", "| 6.4x"} {
		if !strings.Contains(table.String(), want) {
			t.Errorf("%s\nlacks %q", table.String(), want)
		}
	}
}
