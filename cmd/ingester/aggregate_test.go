package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/logpipeline/logpipeline/ingester/aggregate"
	"github.com/logpipeline/logpipeline/ingester/config"
	"github.com/logpipeline/logpipeline/ingester/record"
	"github.com/logpipeline/logpipeline/ingester/segment"
	"github.com/logpipeline/logpipeline/ingester/segment/s3server"
)

// stored is a data directory with so many segments in each of two partitions:
// each has two record batches, half a minute apart, of an info with n 1 and an
// error with n 3.
func stored(t *testing.T, compression config.Compression, segments int) (dir string) {
	t.Helper()
	cfg := config.Default()
	cfg.DataDir, cfg.Segment.Compression = t.TempDir(), compression
	storeIn(t, cfg, segments)
	return cfg.DataDir
}

// storeIn does so in the store that a configuration names.
func storeIn(t *testing.T, cfg config.Config, segments int) {
	t.Helper()
	store, err := segment.Open(t.Context(), cfg, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	for partition := range int32(2) {
		chain, err := store.Open(t.Context(), "orders", "AAAAAAAAQACAAAAAAAAAAQ", partition, func(context.Context) (int64, error) { return 0, nil })
		if err != nil {
			t.Fatal(err)
		}
		for n := range 2 * int64(segments) {
			lines := []byte(`{"level":"info","n":1}` + "\n" + `{"level":"error","n":3}` + "\n")
			span := record.Span{BaseOffset: 2 * n, NextOffset: 2*n + 2, Records: 2, FirstTimestamp: 30_000 * n, LastTimestamp: 30_000*n + 7}
			if err := chain.Append(lines, span); err != nil {
				t.Fatal(err)
			}
			if n%2 == 0 {
				continue
			}
			if _, err := chain.Seal(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if err := chain.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func aggregated(t *testing.T, arguments ...string) aggregate.Report {
	t.Helper()
	got := call(t, append([]string{"aggregate", "-o", "json"}, arguments...)...)
	var report aggregate.Report
	if err := json.Unmarshal([]byte(got.stdout), &report); err != nil || got.code != 0 {
		t.Fatalf("%v, code %d, said %q", err, got.code, got.stderr)
	}
	return report
}

func TestAggregateCountsStoredSegments(t *testing.T) {
	inObjects := s3server.Start(t).URL("orders")
	for name, tc := range map[string]struct {
		compression config.Compression
		objectStore string
	}{
		"none":                    {config.CompressionNone, ""},
		"zstd":                    {config.CompressionZstd, ""},
		"gzip in an object store": {config.CompressionGzip, inObjects},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := config.Default()
			cfg.DataDir, cfg.Segment.Compression, cfg.ObjectStore.URL = t.TempDir(), tc.compression, tc.objectStore
			storeIn(t, cfg, 3)
			located := []string{"--data-dir", cfg.DataDir}
			if tc.objectStore != "" {
				located = []string{"--object-store", tc.objectStore}
			}
			asked := append(located, "--topic", "orders", "--group-by", "level", "--numeric", "n", "--step", "1m", "--to", "120")
			report := aggregated(t, append(asked, "--write")...)
			if want := (aggregate.Coverage{Segments: 6, Recomputed: 6}); report.Coverage != want {
				t.Errorf("first %+v, want %+v", report.Coverage, want)
			}
			var rows []string
			for _, row := range report.Rows {
				rows = append(rows, fmt.Sprintf("%s %s %d %v", row.Start.Format("15:04"), row.Group["level"], row.Records, *row.Numbers["n"].Sum))
			}
			want := []string{`00:00 "error" 4 12`, `00:00 "info" 4 4`, `00:01 "error" 4 12`, `00:01 "info" 4 4`}
			if diff := cmp.Diff(want, rows); diff != "" {
				t.Errorf("rows (-want +got):\n%s", diff)
			}
			again := aggregated(t, asked...)
			if want := (aggregate.Coverage{Segments: 6}); again.Coverage != want {
				t.Errorf("from the roll-ups that were written: %+v, want %+v", again.Coverage, want)
			}
			if diff := cmp.Diff(report.Rows, again.Rows); diff != "" {
				t.Errorf("from roll-ups (-counted +read):\n%s", diff)
			}
			if got := call(t, append([]string{"verify"}, located...)...); got.code != 0 {
				t.Errorf("verify beside roll-ups: %+v", got)
			}
		})
	}
}

func TestAggregateAsText(t *testing.T) {
	dir := stored(t, config.CompressionNone, 1)
	file := filepath.Join(t.TempDir(), "config.yaml")
	document := fmt.Sprintf("topic: orders\ndataDir: %s\naggregation: {groupBy: [level, service], numeric: [\"n\"], quantiles: [0.5]}\n", dir)
	if err := os.WriteFile(file, []byte(document), 0o600); err != nil {
		t.Fatal(err)
	}
	got := call(t, "aggregate", "--config", file, "--by", "level")
	want := strings.Join([]string{
		`START                 level    RECORDS  BYTES  n COUNT  SUM  MIN  MAX  q0.5`,
		`1970-01-01T00:00:00Z  "error"  4        92     4        12   3    3    3`,
		`1970-01-01T00:00:00Z  "info"   4        88     4        4    1    1    1`,
		``, `2 segments, 2 of them counted anew`, ``,
	}, "\n")
	if diff := cmp.Diff(called{0, want, ""}, got, cmp.AllowUnexported(called{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestAggregateCalledWrongly(t *testing.T) {
	dir := stored(t, config.CompressionNone, 1)
	fields := []string{"--data-dir", dir, "--topic", "orders", "--group-by", "level"}
	for name, tc := range map[string]struct {
		arguments []string
		code      int
		stderr    string
	}{
		"no topic":               {[]string{"--group-by", "level"}, 2, "there is no topic: give --config or --topic"},
		"nothing to aggregate":   {[]string{"--topic", "orders"}, 2, "there is nothing to aggregate"},
		"a time that isn't one":  {append(fields, "--from", "yesterday"), 2, `from is "yesterday": write a time such as`},
		"another field":          {append(fields, "--by", "service"), 2, `--by is "service": choose fields of aggregation.groupBy: level`},
		"a step within a window": {append(fields, "--step", "30s"), 2, `--step is "30s": write a multiple of the window, 1m0s`},
		"half seconds":           {append(fields, "--window", "500ms"), 2, "write whole seconds"},
		"a format":               {append(fields, "-o", "yaml"), 2, `-o is "yaml": choose text or json`},
		"another topic":          {[]string{"--data-dir", dir, "--topic", "users", "--group-by", "a"}, 1, "there is no topic users in "},
		"no store":               {[]string{"--data-dir", "/nowhere", "--topic", "users", "--group-by", "a"}, 1, "/nowhere"},
	} {
		t.Run(name, func(t *testing.T) {
			got := call(t, append([]string{"aggregate"}, tc.arguments...)...)
			if got.code != tc.code || !strings.Contains(got.stderr, tc.stderr) || bytes.Contains([]byte(got.stdout), []byte("RECORDS")) {
				t.Errorf("%+v, want code %d and %q", got, tc.code, tc.stderr)
			}
		})
	}
}
