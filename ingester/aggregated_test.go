package ingester

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	_ "gocloud.dev/blob/s3blob"

	"github.com/logpipeline/logpipeline/ingester/aggregate"
	"github.com/logpipeline/logpipeline/ingester/config"
	"github.com/logpipeline/logpipeline/ingester/record"
	"github.com/logpipeline/logpipeline/ingester/segment"
	"github.com/logpipeline/logpipeline/ingester/segment/s3server"
)

// What chains seal is in the answer, once, and what they give up isn't; and
// counting the stored segments again gives the same.
func TestSealedSegmentsAreAggregated(t *testing.T) {
	for name, objectStore := range map[string]string{"directory": "", "object store": s3server.Start(t).URL("logs")} {
		t.Run(name, func(t *testing.T) {
			cfg := config.Default()
			cfg.Topic, cfg.DataDir, cfg.ObjectStore.URL = "logs", t.TempDir(), objectStore
			testAggregation(t, cfg)
		})
	}
}

func testAggregation(t *testing.T, cfg config.Config) {
	cfg.Aggregation.GroupBy, cfg.Aggregation.Numeric = []string{"level"}, []string{"n"}
	p := &process{cfg: cfg, logger: slog.New(slog.DiscardHandler), registry: prometheus.NewRegistry(), admin: &admin{mux: http.NewServeMux()}}
	store, err := segment.Open(t.Context(), cfg, p.logger, p.registry)
	if err != nil {
		t.Fatal(err)
	}
	a, err := p.openAggregation(store)
	if err != nil {
		t.Fatal(err)
	}
	for _, seals := range []bool{true, false, true} {
		opened, err := store.Open(t.Context(), "logs", "AAAAAAAAQACAAAAAAAAAAQ", 3, func(context.Context) (int64, error) { return 100, nil })
		if err != nil {
			t.Fatal(err)
		}
		chain := a.watch(opened, "logs", "AAAAAAAAQACAAAAAAAAAAQ", 3)
		for range 3 {
			base := chain.NextOffset()
			lines := fmt.Appendf(nil, "{\"level\":\"info\",\"n\":%d}\n", base)
			if err := chain.Append(lines, record.Span{BaseOffset: base, NextOffset: base + 1, Records: 1, FirstTimestamp: 30_000 * base, LastTimestamp: 30_000 * base}); err != nil {
				t.Fatal(err)
			}
		}
		if seals {
			if sealed, err := chain.Seal(t.Context()); err != nil || !sealed {
				t.Fatal(sealed, err)
			}
		}
		if err := chain.Close(); err != nil {
			t.Fatal(err)
		}
	}

	response := httptest.NewRecorder()
	p.admin.mux.ServeHTTP(response, httptest.NewRequest(http.MethodGet, "/aggregates?from=0&to=36000&by=level&step=all", nil))
	var report aggregate.Report
	if err := json.Unmarshal(response.Body.Bytes(), &report); err != nil || response.Code != 200 {
		t.Fatal(err, response)
	}
	if want := (aggregate.Coverage{Segments: 2}); report.Coverage != want {
		t.Errorf("%+v, want %+v", report.Coverage, want)
	}
	if len(report.Rows) != 1 || report.Rows[0].Records != 6 || *report.Rows[0].Numbers["n"].Sum != 100+101+102+103+104+105 {
		t.Errorf("rows %+v, want one with 6 records", report.Rows)
	}

	plan, err := aggregate.NewPlan(cfg.Aggregation)
	if err != nil {
		t.Fatal(err)
	}
	archive := SegmentArchive{store.Archive()}
	for source, err := range archive.Segments(t.Context(), "logs", report.From, report.To) {
		if err != nil {
			t.Fatal(err)
		}
		counted, err := plan.Count(t.Context(), archive, source)
		if err != nil {
			t.Fatal(err)
		}
		recorded, err := archive.Rollup(t.Context(), plan.Name(source))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(recorded, counted.Encode(source)); diff != "" {
			t.Errorf("roll-up from offset %d (-recorded +counted again):\n%s", source.BaseOffset, diff)
		}
	}

	// The roll-ups go with the segments.
	opened, err := store.Open(t.Context(), "logs", "AAAAAAAAQACAAAAAAAAAAQ", 3, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := opened.Retain(t.Context(), time.Now(), config.Retention{MaxAgeSeconds: 1}); err != nil {
		t.Fatal(err)
	}
	for source, err := range archive.Segments(t.Context(), "logs", report.From, report.To) {
		if err != nil {
			t.Fatal(err)
		}
		if _, err := archive.Rollup(t.Context(), plan.Name(source)); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("roll-up from offset %d, whose data is removed: error %v", source.BaseOffset, err)
		}
	}
	if err := opened.Close(); err != nil {
		t.Fatal(err)
	}
}
