package aggregate

import (
	"encoding/json"
	"maps"
	"math"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/logpipeline/logpipeline/ingester/record"
)

// Gauges show the last closed window of what this process has stored, to
// Prometheus. A window is closed some time after its end, when the segments
// with its records are expected to be sealed; then it stands until the next one
// is closed. What is sealed later is not shown, but counted as late.
//
// How many series there are is bounded by the configuration: for each window
// at most aggregation.maxGroups groups and other.
//
// It is a prometheus.Collector, and safe for concurrent use.
type Gauges struct {
	plan  *Plan
	delay time.Duration
	now   func() time.Time
	late  prometheus.Counter

	start, records, bytes           *prometheus.Desc
	count, sum, min, max, quantiles *prometheus.Desc

	mu      sync.Mutex
	windows windows // the closed one, and those after it
}

// NewGauges returns gauges that close a window delay after its end, which
// should be longer than a segment waits for its seal.
func NewGauges(plan *Plan, delay time.Duration, now func() time.Time) *Gauges {
	labels := plan.labels()
	describe := func(name, help string, more ...string) *prometheus.Desc {
		return prometheus.NewDesc("logpipeline_aggregate_window_"+name, help, append(more, labels...), nil)
	}
	return &Gauges{
		plan: plan, delay: delay, now: now,
		late: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "logpipeline_aggregate_late_records_total",
			Help: "Records that no gauge shows, because their window was closed, or is yet to come, when they were sealed. Roll-ups have them.",
		}),
		start:     prometheus.NewDesc("logpipeline_aggregate_window_start_timestamp_seconds", "When the window that is shown begins.", nil, nil),
		records:   describe("records", "Records of the last closed window that this process has stored."),
		bytes:     describe("bytes", "Bytes of these records."),
		count:     describe("numbers", "How many of these records have a number in the field.", "field"),
		sum:       describe("sum", "Sum of the field's numbers.", "field"),
		min:       describe("min", "Smallest of the field's numbers.", "field"),
		max:       describe("max", "Largest of the field's numbers.", "field"),
		quantiles: describe("quantile", "Quantile of the field's numbers, within 1 %.", "field", "quantile"),
		windows:   newWindows(plan, plan.maxGroups, math.MaxInt),
	}
}

var notOfLabels = regexp.MustCompile(`[^a-zA-Z0-9_]`)

// labels are one for each field to group by, and other.
func (p *Plan) labels() []string {
	labels := make([]string, 0, len(p.groupBy)+1)
	taken := make(map[string]int)
	for _, field := range p.groupBy {
		label := "group_" + notOfLabels.ReplaceAllString(field, "_")
		if taken[label]++; taken[label] > 1 { // a.b and a_b
			label += "_" + strconv.Itoa(taken[label])
		}
		labels = append(labels, label)
	}
	return append(labels, "other")
}

// Observe adds the roll-up of a segment that this process has sealed; it stays
// as it is.
func (g *Gauges) Observe(r *Rollup) {
	g.mu.Lock()
	defer g.mu.Unlock()
	closed := g.closed()
	g.forget(closed)
	late := r.unplaced.records
	for start, t := range r.tables {
		if start <= closed || start > closed+2*g.plan.window+g.delay.Milliseconds() {
			late += t.records()
			continue
		}
		g.merge(start, t)
	}
	g.late.Add(float64(late))
}

// closed is the start of the last closed window.
func (g *Gauges) closed() int64 {
	return g.plan.windowOf(g.now().Add(-g.delay).UnixMilli()) - g.plan.window
}

// forget removes windows from before the closed one.
func (g *Gauges) forget(closed int64) {
	maps.DeleteFunc(g.windows.tables, func(start int64, _ *table) bool { return start < closed })
}

func (g *Gauges) merge(start int64, from *table) {
	into := g.windows.table(start)
	for i := range from.groups {
		g.windows.cell(into, from.groups[i].key).merge(from.groups[i].cell, g.plan)
	}
	if from.other != nil {
		g.windows.other(into).merge(from.other, g.plan)
	}
}

func (t *table) records() (n int64) {
	for i := range t.groups {
		n += t.groups[i].records
	}
	if t.other != nil {
		n += t.other.records
	}
	return n
}

// Describe is that of prometheus.Collector.
func (g *Gauges) Describe(ch chan<- *prometheus.Desc) {
	g.late.Describe(ch)
	for _, d := range []*prometheus.Desc{g.start, g.records, g.bytes, g.count, g.sum, g.min, g.max, g.quantiles} {
		ch <- d
	}
}

// Collect is that of prometheus.Collector. Without records in the closed
// window only its start is there.
func (g *Gauges) Collect(ch chan<- prometheus.Metric) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.late.Collect(ch)
	closed := g.closed()
	g.forget(closed)
	ch <- prometheus.MustNewConstMetric(g.start, prometheus.GaugeValue, float64(closed)/1000)
	t := g.windows.tables[closed]
	if t == nil {
		return
	}
	for _, s := range g.series(t) {
		g.collect(ch, s)
	}
}

// series is a group with its values as labels.
type series struct {
	labels []string
	*cell
}

// series are the groups of a table and other. Groups that only differ in bytes
// that are no UTF-8 become one.
func (g *Gauges) series(t *table) map[string]series {
	found := make(map[string]series, len(t.groups)+1)
	for i := range t.groups {
		labels := g.plan.labelValues(t.groups[i].key)
		name := strings.Join(labels, "\xff")
		if before, taken := found[name]; taken {
			both := newCell(g.plan)
			both.merge(before.cell, g.plan)
			both.merge(t.groups[i].cell, g.plan)
			found[name] = series{labels, both}
			continue
		}
		found[name] = series{labels, t.groups[i].cell}
	}
	if t.other != nil {
		labels := append(make([]string, len(g.plan.groupBy)), "true")
		found["\xff other"] = series{labels, t.other}
	}
	return found
}

// labelValues are what a key says. A string stands as it is, unless it could be
// taken for another value: then, as any other value, it stands as JSON. A
// missing field is an empty label.
func (p *Plan) labelValues(key []byte) []string {
	values := make([]string, 0, len(p.groupBy)+1)
	for range p.groupBy {
		first, rest, err := cutEntry(key)
		if err != nil {
			panic(err) // the key is our own
		}
		key = rest
		text := string(first.text)
		if first.kind != record.StringValue || text == "" || json.Valid(first.text) {
			text = string(first.document())
		}
		values = append(values, strings.ToValidUTF8(text, "\uFFFD"))
	}
	return append(values, "")
}

func (g *Gauges) collect(ch chan<- prometheus.Metric, s series) {
	gauge := func(d *prometheus.Desc, value float64, more ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, append(more, s.labels...)...)
	}
	gauge(g.records, float64(s.records))
	gauge(g.bytes, float64(s.bytes))
	for i, field := range g.plan.numeric {
		n := &s.numbers[i]
		gauge(g.count, float64(n.count), field)
		if n.count == 0 {
			continue
		}
		gauge(g.sum, n.sum.value(), field)
		gauge(g.min, n.min, field)
		gauge(g.max, n.max, field)
		for _, q := range g.plan.quantiles {
			gauge(g.quantiles, n.quantile(q), field, strconv.FormatFloat(q, 'g', -1, 64))
		}
	}
}
