package aggregate

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

func TestGaugesShowTheLastClosedWindow(t *testing.T) {
	now := at(60)
	c := cfg("level http.status", "d")
	c.Quantiles, c.MaxGroups = []float64{0.5}, 2
	plan := must(t, c)
	g := NewGauges(plan, 20*time.Second, func() time.Time { return now })
	first := plan.NewRollup()
	first.Add([]byte(`{"level":"info","http":{"status":200},"d":4}`+"\n"+`{"level":"info","http":{"status":200}}`+"\n"), 59_000)
	first.Add([]byte(`{"level":""}`+"\n"), 60_000)
	g.Observe(first)
	second := plan.NewRollup()
	second.Add([]byte(`{"level":"info","http":{"status":200},"d":8}`+"\n"+`{"level":"200","http":{"status":"200"}}`+"\n"+`{}`+"\n"), 30_000)
	g.Observe(second)

	now = at(79) // the first window isn't closed yet
	expect(t, g, `
logpipeline_aggregate_late_records_total 0
logpipeline_aggregate_window_start_timestamp_seconds -60`)
	now = at(80)
	expect(t, g, `
logpipeline_aggregate_late_records_total 0
logpipeline_aggregate_window_start_timestamp_seconds 0
logpipeline_aggregate_window_bytes{group_http_status="\"200\"",group_level="\"200\"",other=""} 39
logpipeline_aggregate_window_bytes{group_http_status="200",group_level="info",other=""} 126
logpipeline_aggregate_window_bytes{group_http_status="",group_level="",other="true"} 2
logpipeline_aggregate_window_max{field="d",group_http_status="200",group_level="info",other=""} 8
logpipeline_aggregate_window_min{field="d",group_http_status="200",group_level="info",other=""} 4
logpipeline_aggregate_window_numbers{field="d",group_http_status="\"200\"",group_level="\"200\"",other=""} 0
logpipeline_aggregate_window_numbers{field="d",group_http_status="200",group_level="info",other=""} 2
logpipeline_aggregate_window_numbers{field="d",group_http_status="",group_level="",other="true"} 0
logpipeline_aggregate_window_quantile{field="d",group_http_status="200",group_level="info",other="",quantile="0.5"} 4
logpipeline_aggregate_window_records{group_http_status="\"200\"",group_level="\"200\"",other=""} 1
logpipeline_aggregate_window_records{group_http_status="200",group_level="info",other=""} 3
logpipeline_aggregate_window_records{group_http_status="",group_level="",other="true"} 1
logpipeline_aggregate_window_sum{field="d",group_http_status="200",group_level="info",other=""} 12`)
	g.Observe(second) // its window is closed
	now = at(140)
	expect(t, g, `
logpipeline_aggregate_late_records_total 3
logpipeline_aggregate_window_start_timestamp_seconds 60
logpipeline_aggregate_window_bytes{group_http_status="",group_level="\"\"",other=""} 12
logpipeline_aggregate_window_numbers{field="d",group_http_status="",group_level="\"\"",other=""} 0
logpipeline_aggregate_window_records{group_http_status="",group_level="\"\"",other=""} 1`)
	now = at(10_000)
	expect(t, g, `
logpipeline_aggregate_late_records_total 3
logpipeline_aggregate_window_start_timestamp_seconds 9900`)
	if n := len(g.windows.tables); n > 0 {
		t.Errorf("%d windows are still held", n)
	}
}

// expect compares series by their lines, without HELP and TYPE.
func expect(t *testing.T, g *Gauges, want string) {
	t.Helper()
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(g)
	scrape := httptest.NewRecorder()
	promhttp.HandlerFor(registry, promhttp.HandlerOpts{}).ServeHTTP(scrape, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	wanted := make(map[string]bool)
	for line := range strings.Lines(strings.TrimSpace(want)) {
		wanted[strings.TrimSpace(line)] = true
	}
	for line := range strings.Lines(scrape.Body.String()) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "#") {
			continue
		}
		if !wanted[line] {
			t.Errorf("shows %s", line)
		}
		delete(wanted, line)
	}
	for line := range wanted {
		t.Errorf("doesn't show %s", line)
	}
}

func TestLabelsDiffer(t *testing.T) {
	got := fmt.Sprint(must(t, cfg("a.b a_b other é", "")).labels())
	if want := "[group_a_b group_a_b_2 group_other group__ other]"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// What a label says, no other value says.
func TestLabelValues(t *testing.T) {
	plan := must(t, cfg("a", ""))
	seen := make(map[string]string)
	for _, line := range []string{
		`{}`, `{"a":""}`, `{"a":"\"\""}`, `{"a":null}`, `{"a":"null"}`, `{"a":1}`, `{"a":"1"}`, `{"a":"\"1\""}`, `{"a":{}}`, `{"a":"{}"}`, `{"a":"x"}`, `{"a":"\"x"}`,
	} {
		r := rolledUp(plan, line)
		text := fmt.Sprintf("%q", plan.labelValues(r.table(0).groups[0].key))
		if before, taken := seen[text]; taken {
			t.Errorf("%s and %s both show as %s", before, line, text)
		}
		seen[text] = line
	}
}
