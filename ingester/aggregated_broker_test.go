package ingester

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/logpipeline/logpipeline/ingester/aggregate"
	"github.com/logpipeline/logpipeline/ingester/config"
	"github.com/logpipeline/logpipeline/ingester/segment"
	"github.com/logpipeline/logpipeline/ingester/segment/s3server"
)

// TestAggregatesOfRealKafka asks a consumer for what clients have sent, after
// another one has stored half of it; and counts the stored segments again.
func TestAggregatesOfRealKafka(t *testing.T) {
	for _, kind := range []string{"directory", "object store"} {
		t.Run(kind, func(t *testing.T) {
			cfg := onKafka(t, 3)
			cfg.Segment.MaxAgeSeconds, cfg.Segment.Compression = 1, config.CompressionZstd
			cfg.Aggregation.GroupBy, cfg.Aggregation.Numeric = []string{"level"}, []string{"n"}
			location := cfg.DataDir
			if kind == "object store" {
				location = s3server.Start(t).URL(cfg.Topic)
				cfg.ObjectStore.URL = location
			}
			serve, consume := start(t, config.RoleServe, cfg), start(t, config.RoleConsume, cfg)
			want := map[string]counted{}
			for n := range 120 {
				level := []string{"info", "error", "warn"}[n%3]
				if ok, answer := serve.post([]string{fmt.Sprintf(`{"level":%q,"n":%d}`, level, n), fmt.Sprintf(`{"level":"debug","n":%d}`, -n)}); !ok {
					t.Fatal(answer)
				}
				want[level] = want[level].plus(n)
				want["debug"] = want["debug"].plus(-n)
				if n == 60 { // a consumer leaves, another takes its place
					consume.stop(t)
					consume = start(t, config.RoleConsume, cfg)
				}
			}
			serve.stop(t)
			var report aggregate.Report
			eventually(t, "everything counted", func() bool {
				report = askAggregates(t, consume)
				return sumOf(report) == 240
			})
			consume.stop(t)
			if report.Missing != 0 || report.Segments == 0 {
				t.Errorf("%d of %d segments are missing", report.Missing, report.Segments)
			}
			if diff := cmp.Diff(want, countedBy(report), cmp.AllowUnexported(counted{})); diff != "" {
				t.Errorf("by level (-sent +counted):\n%s", diff)
			}
			if report := countAgain(t, cfg, location); !cmp.Equal(want, countedBy(report), cmp.AllowUnexported(counted{})) {
				t.Errorf("counted again: %+v, want %+v", countedBy(report), want)
			}
			if report, err := segment.Verify(t.Context(), location); err != nil || !report.Complete || report.Records != 240 {
				t.Errorf("verify: error %v, %+v", err, report)
			}
		})
	}
}

type counted struct{ records, sum, min, max int }

func (c counted) plus(n int) counted {
	if c.records == 0 {
		c.min, c.max = n, n
	}
	return counted{c.records + 1, c.sum + n, min(c.min, n), max(c.max, n)}
}

// askAggregates returns no rows while the consumer knows of none.
func askAggregates(t *testing.T, consume *running) (report aggregate.Report) {
	t.Helper()
	now := time.Now()
	url := fmt.Sprintf("%s/aggregates?from=%d&to=%d&by=level&step=all", consume.admin, now.Add(-time.Hour).Unix()/60*60, now.Add(time.Hour).Unix()/60*60)
	response, err := consume.client.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode == http.StatusServiceUnavailable {
		return aggregate.Report{} // there is no chain yet
	}
	if err := json.NewDecoder(response.Body).Decode(&report); err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("%d, error %v", response.StatusCode, err)
	}
	return report
}

func sumOf(report aggregate.Report) (records int64) {
	for _, row := range report.Rows {
		records += row.Records
	}
	return records
}

func countedBy(report aggregate.Report) map[string]counted {
	found := map[string]counted{}
	for _, row := range report.Rows {
		var level string
		_ = json.Unmarshal(row.Group["level"], &level)
		n := row.Numbers["n"]
		found[level] = counted{int(row.Records), int(*n.Sum), int(*n.Min), int(*n.Max)}
	}
	return found
}

// countAgain goes by the segments alone.
func countAgain(t *testing.T, cfg config.Config, location string) aggregate.Report {
	t.Helper()
	plan, err := aggregate.NewPlan(cfg.Aggregation)
	if err != nil {
		t.Fatal(err)
	}
	opened, err := segment.OpenArchive(t.Context(), location)
	if err != nil {
		t.Fatal(err)
	}
	defer opened.Close()
	archive := SegmentArchive{opened}
	query := aggregate.Query{From: time.Now().Add(-time.Hour).Truncate(time.Minute), To: time.Now().Add(time.Hour).Truncate(time.Minute)}
	answer, err := plan.NewAnswer(query)
	if err != nil {
		t.Fatal(err)
	}
	for source, err := range archive.Segments(context.WithoutCancel(t.Context()), cfg.Topic, query.From, query.To) {
		if err != nil {
			t.Fatal(err)
		}
		rollup, err := plan.Count(t.Context(), archive, source)
		if err == nil {
			err = answer.Add(rollup)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return answer.Report(aggregate.Coverage{})
}
