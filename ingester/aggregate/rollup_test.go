package aggregate

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/logpipeline/logpipeline/ingester/config"
)

// rolledUp is a roll-up of lines that are all in the window of 1970, but for
// those given by number.
func rolledUp(plan *Plan, lines ...string) *Rollup {
	r := plan.NewRollup()
	for _, line := range lines {
		r.Add([]byte(line+"\n"), 0)
	}
	return r
}

// rows are those of an answer to everything, as JSON, one each.
func rows(t testing.TB, plan *Plan, q Query, rollups ...*Rollup) []string {
	t.Helper()
	a, err := plan.NewAnswer(q)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rollups {
		if err := a.Add(r); err != nil {
			t.Fatal(err)
		}
	}
	return printed(t, a)
}

func printed(t testing.TB, a *Answer) []string {
	t.Helper()
	lines := []string{}
	for _, row := range a.Rows() {
		document, err := json.Marshal(row)
		if err != nil {
			t.Fatal(err)
		}
		text := strings.Replace(string(document), `"start":"1970-01-01T00:`, `"start":"`, 1)
		lines = append(lines, strings.Replace(text, `"end":"1970-01-01T00:`, `"end":"`, 1))
	}
	return lines
}

func cfg(groupBy, numeric string) config.Aggregation {
	c := config.Default().Aggregation
	c.GroupBy, c.Numeric = strings.Fields(groupBy), strings.Fields(numeric)
	return c
}

func withoutQuantiles(c config.Aggregation) config.Aggregation {
	c.Quantiles = nil
	return c
}

var firstMinute = Query{From: at(0), To: at(60), Step: 60e9}

func TestRollup(t *testing.T) {
	const header = `{"start":"00:00Z","end":"01:00Z",`
	for name, tc := range map[string]struct {
		cfg   config.Aggregation
		lines []string
		want  []string
	}{
		"no records": {cfg("level", ""), nil, []string{}},
		"groups of one field": {
			cfg("level", ""),
			[]string{`{"level":"info"}`, `{"level":"warn","a":1}`, `{"a":2,"level":"info"}`},
			[]string{`"group":{"level":"info"},"records":2,"bytes":38}`, `"group":{"level":"warn"},"records":1,"bytes":22}`},
		},
		"missing, null, empty and text are different": {
			cfg("a", ""),
			[]string{`{}`, `{"a":null}`, `{"a":""}`, `{"a":"null"}`, `{"a":1}`, `{"a":"1"}`, `{"a":true}`, `{"a":[1, 2]}`},
			[]string{
				`"group":{},"records":1,"bytes":2}`, `"group":{"a":""},"records":1,"bytes":8}`, `"group":{"a":"1"},"records":1,"bytes":9}`,
				`"group":{"a":"null"},"records":1,"bytes":12}`, `"group":{"a":1},"records":1,"bytes":7}`, `"group":{"a":[1,2]},"records":1,"bytes":12}`,
				`"group":{"a":true},"records":1,"bytes":10}`, `"group":{"a":null},"records":1,"bytes":10}`,
			},
		},
		"an escaped string is the same text": {
			cfg("a", ""), []string{`{"a":"\u0041\/"}`, `{"\u0061":"A/"}`},
			[]string{`"group":{"a":"A/"},"records":2,"bytes":31}`},
		},
		"a value of 256 bytes still names a group, a longer one doesn't": {
			cfg("a", ""),
			[]string{`{"a":"` + strings.Repeat("x", 256) + `"}`, `{"a":"` + strings.Repeat("x", 257) + `"}`, `{"a":"` + strings.Repeat("x", 5000) + `"}`},
			[]string{`"group":{"a":"` + strings.Repeat("x", 256) + `"},"records":1,"bytes":264}`, `"other":true,"records":2,"bytes":5273}`},
		},
		"a field may be a group's and a number": {
			cfg("n", "n"), []string{`{"n":7}`, `{"n":7}`},
			[]string{`"group":{"n":7},"records":2,"bytes":14,"numbers":{"n":{"count":2,"sum":14,"min":7,"max":7,"quantiles":{"0.5":7,"0.9":7,"0.99":7}}}}`},
		},
		"numbers, and what is none": {
			cfg("", "n"), []string{`{"n":1}`, `{"n":-2.5e1}`, `{"n":"3"}`, `{"n":null}`, `{"n":{}}`, `{"n":1e400}`, `{"n":1e300}`, `{}`, `{"n":0}`},
			[]string{`"group":{},"records":9,"bytes":77,"numbers":{"n":{"count":3,"skipped":5,"sum":-24,"min":-25,"max":1,"quantiles":{"0.5":0,"0.9":0,"0.99":0}}}}`},
		},
		"a sum keeps small numbers beside large ones": {
			withoutQuantiles(cfg("", "n")), []string{`{"n":1e20}`, `{"n":1}`, `{"n":-1e20}`},
			[]string{`"group":{},"records":3,"bytes":28,"numbers":{"n":{"count":3,"sum":1,"min":-100000000000000000000,"max":100000000000000000000}}}`},
		},
		"lines that are no objects": {
			cfg("a", ""), []string{`7`, `not JSON`, `{"a":`, `{"a":bad}`},
			[]string{`"group":{},"records":3,"bytes":14}`, `"group":{"a":"bad"},"records":1,"bytes":9}`},
		},
	} {
		t.Run(name, func(t *testing.T) {
			plan := must(t, tc.cfg)
			want := []string{}
			for _, row := range tc.want {
				want = append(want, header+row)
			}
			r := rolledUp(plan, tc.lines...)
			if diff := cmp.Diff(want, rows(t, plan, firstMinute, r)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			decoded, _, err := plan.Decode(r.Encode(Source{}))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, rows(t, plan, firstMinute, decoded)); diff != "" {
				t.Errorf("decoded (-want +got):\n%s", diff)
			}
		})
	}
}

func TestWindows(t *testing.T) {
	plan := must(t, cfg("a", ""))
	r := plan.NewRollup()
	r.Add([]byte("{\"a\":1}\n{\"a\":2}\n"), -1)
	r.Add([]byte("{\"a\":1}\n"), 59_999)
	r.Add(nil, 1e9)
	r.Add([]byte("{\"a\":1}\n"), 60_000)
	for name, tc := range map[string]struct {
		query Query
		want  []string
	}{
		"each window": {Query{From: at(-60), To: at(120), Step: 60e9}, []string{
			`{"start":"1969-12-31T23:59:00Z","end":"00:00Z","group":{"a":1},"records":1,"bytes":7}`,
			`{"start":"1969-12-31T23:59:00Z","end":"00:00Z","group":{"a":2},"records":1,"bytes":7}`,
			`{"start":"00:00Z","end":"01:00Z","group":{"a":1},"records":1,"bytes":7}`,
			`{"start":"01:00Z","end":"02:00Z","group":{"a":1},"records":1,"bytes":7}`,
		}},
		"steps of two": {Query{From: at(0), To: at(120), Step: 120e9}, []string{
			`{"start":"00:00Z","end":"02:00Z","group":{"a":1},"records":2,"bytes":14}`,
		}},
		"all of the time, and no fields": {Query{From: at(-60), To: at(120), By: []string{}}, []string{
			`{"start":"1969-12-31T23:59:00Z","end":"02:00Z","group":{},"records":4,"bytes":28}`,
		}},
		"a window counts where it begins": {Query{From: at(1), To: at(61), Step: 60e9}, []string{
			`{"start":"01:00Z","end":"02:00Z","group":{"a":1},"records":1,"bytes":7}`,
		}},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, rows(t, plan, tc.query, r)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestBounds(t *testing.T) {
	c := cfg("a", "")
	c.MaxGroups = 2
	plan := must(t, c)
	r := plan.NewRollup()
	const windows = maxWindows + 3
	for window := range windows {
		for a := range 3 {
			r.Add(fmt.Appendf(nil, "{\"a\":%d}\n", a), int64(window)*60_000)
		}
	}
	got := rows(t, plan, Query{From: at(0), To: at(windows * 60), By: []string{"a"}}, r)
	want := []string{ // 4 windows have room for 2 groups each
		`{"start":"00:00Z","end":"1970-01-03T12:03:00Z","group":{"a":0},"records":4,"bytes":28}`,
		`{"start":"00:00Z","end":"1970-01-03T12:03:00Z","group":{"a":1},"records":4,"bytes":28}`,
		fmt.Sprintf(`{"start":"00:00Z","end":"1970-01-03T12:03:00Z","other":true,"records":%d,"bytes":%d}`, 3*maxWindows-8, 7*(3*maxWindows-8)),
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	all, err := plan.NewAnswer(Query{From: at(0), To: at(windows * 60), By: []string{}})
	if err == nil {
		err = all.Add(r)
	}
	if err != nil {
		t.Fatal(err)
	}
	rows := all.Rows()
	if records, bytes := all.Unplaced(); records != 9 || bytes != 63 || len(rows) != 1 || rows[0].Records != 3*maxWindows || rows[0].Other {
		t.Errorf("%d records and %d bytes without a place, and %+v; want 9, 63 and one row with all the rest", records, bytes, rows)
	}
}

func TestAddAllocatesNothingInSteadyState(t *testing.T) {
	plan := must(t, benchmarkConfig())
	lines := logLines(1000)
	r := plan.NewRollup()
	r.Add(lines, 0)
	if n := testing.AllocsPerRun(10, func() { r.Add(lines, 1000) }); n > 0 {
		t.Errorf("%v allocations for 1000 records of known groups", n)
	}
}

func TestEqualConfigurationsShareAHash(t *testing.T) {
	base := cfg("level service", "duration")
	hash := must(t, base).Hash()
	quantiles := base
	quantiles.Quantiles = []float64{0.75}
	if got := must(t, quantiles).Hash(); got != hash {
		t.Errorf("other quantiles shown: hash %s, want %s", got, hash)
	}
	longer, fewer, turned := base, base, cfg("service level", "duration")
	longer.WindowSeconds, fewer.MaxGroups = 61, 499
	for _, other := range []config.Aggregation{longer, fewer, turned, cfg("level", "service duration"), cfg("level service", "")} {
		if got := must(t, other).Hash(); got == hash {
			t.Errorf("%+v has the hash of %+v", other, base)
		}
	}
}

func TestNewPlanRefuses(t *testing.T) {
	for name, tc := range map[string]struct{ groupBy, want string }{
		"nothing to do":          {"", "aggregation.groupBy and aggregation.numeric are empty"},
		"a path that ends early": {"a.", `parse field path "a."`},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := NewPlan(cfg(tc.groupBy, ""))
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("%v, want %q", err, tc.want)
			}
		})
	}
}
