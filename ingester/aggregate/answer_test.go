package aggregate

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// randomRollup has few groups, many of them bounded away, in few windows.
func randomRollup(random *rand.Rand, plan *Plan) *Rollup {
	r := plan.NewRollup()
	for range random.IntN(60) {
		line := fmt.Appendf(nil, `{"a":%d,"b":"%c","n":%v}`+"\n", random.IntN(5), 'x'+random.IntN(3), randomNumber(random))
		r.Add(line, int64(random.IntN(5)-2)*45_000)
	}
	return r
}

func randomNumber(random *rand.Rand) float64 {
	return math.Ldexp(random.Float64()-0.5, random.IntN(80)-40)
}

// In whatever order and grouping roll-ups come together, encoded on the way or
// not, the answer is the same.
func TestMergingIsAssociativeAndCommutative(t *testing.T) {
	c := cfg("a b", "n")
	c.MaxGroups = 6
	plan := must(t, c)
	for seed := range uint64(200) {
		random := rand.New(rand.NewPCG(seed, 1))
		query := Query{From: at(-120), To: at(180), Step: plan.Window() * 2, By: [][]string{nil, {}, {"b"}, {"a", "b"}}[seed%4]}
		rollups := make([]*Rollup, 1+random.IntN(8))
		for i := range rollups {
			rollups[i] = randomRollup(random, plan)
		}
		want := answerTo(t, plan, query, rollups...)

		random.Shuffle(len(rollups), func(i, j int) { rollups[i], rollups[j] = rollups[j], rollups[i] })
		parts := make([]*Answer, len(rollups))
		for i, r := range rollups {
			decoded, _, err := plan.Decode(r.Encode(Source{}))
			if err != nil {
				t.Fatal(err)
			}
			parts[i] = answerTo(t, plan, query, decoded)
		}
		for len(parts) > 1 { // any two neighbours, until one is left
			i := random.IntN(len(parts) - 1)
			if err := parts[i].Merge(parts[i+1]); err != nil {
				t.Fatal(err)
			}
			parts = slices.Delete(parts, i+1, i+2)
		}
		if diff := cmp.Diff(want.Rows(), parts[0].Rows(), cmpopts.EquateApprox(1e-15, 0)); diff != "" {
			t.Fatalf("seed %d (-one by one +merged):\n%s", seed, diff)
		}
	}
}

func answerTo(t *testing.T, plan *Plan, query Query, rollups ...*Rollup) *Answer {
	t.Helper()
	a, err := plan.NewAnswer(query)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rollups {
		if err := a.Add(r); err != nil {
			t.Fatal(err)
		}
	}
	return a
}

// A group that one segment had room for and another one had not is in both
// rows, and the sum of all rows is that of all records.
func TestOtherUnderMerge(t *testing.T) {
	c := cfg("a", "n")
	c.MaxGroups, c.Quantiles = 1, nil
	plan := must(t, c)
	one := rolledUp(plan, `{"a":1,"n":1}`, `{"a":2,"n":2}`)
	two := rolledUp(plan, `{"a":2,"n":4}`, `{"a":1,"n":8}`, `{"a":3,"n":16}`)
	want := []string{
		`{"start":"00:00Z","end":"01:00Z","group":{"a":1},"records":1,"bytes":13,"numbers":{"n":{"count":1,"sum":1,"min":1,"max":1}}}`,
		`{"start":"00:00Z","end":"01:00Z","group":{"a":2},"records":1,"bytes":13,"numbers":{"n":{"count":1,"sum":4,"min":4,"max":4}}}`,
		`{"start":"00:00Z","end":"01:00Z","other":true,"records":3,"bytes":40,"numbers":{"n":{"count":3,"sum":26,"min":2,"max":16}}}`,
	}
	if diff := cmp.Diff(want, rows(t, plan, firstMinute, one, two)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	all := firstMinute
	all.By = []string{}
	want = []string{`{"start":"00:00Z","end":"01:00Z","group":{},"records":5,"bytes":66,"numbers":{"n":{"count":5,"sum":31,"min":1,"max":16}}}`}
	if diff := cmp.Diff(want, rows(t, plan, all, two, one)); diff != "" {
		t.Errorf("without fields (-want +got):\n%s", diff)
	}
}

// The error of a quantile is what the documentation says, after merging too.
func TestQuantilesAreWithinTheirError(t *testing.T) {
	plan := must(t, cfg("", "n"))
	random := rand.New(rand.NewPCG(3, 4))
	var values []float64
	a := answerTo(t, plan, firstMinute)
	for range 20 {
		r := plan.NewRollup()
		for range 500 {
			x := math.Exp(random.NormFloat64() * 3)
			values = append(values, x)
			r.Add(fmt.Appendf(nil, "{\"n\":%v}\n", x), 0)
		}
		if err := a.Add(r); err != nil {
			t.Fatal(err)
		}
	}
	slices.Sort(values)
	n := &a.table(0).groups[0].numbers[0]
	for _, q := range []float64{0, 0.01, 0.25, 0.5, 0.9, 0.99, 0.999, 1} {
		exact := values[int(q*float64(len(values)-1))]
		if got := n.quantile(q); math.Abs(got-exact) > QuantileError*exact*(1+1e-9) {
			t.Errorf("quantile %v is %v, want %v within %v", q, got, exact, QuantileError)
		}
	}
}

func TestTooManyRows(t *testing.T) {
	c := cfg("a", "")
	c.MaxGroups = MaxRows
	plan := must(t, c)
	full, more := plan.NewRollup(), plan.NewRollup()
	for i := range MaxRows {
		full.Add(fmt.Appendf(nil, "{\"a\":%d}\n", i), 0)
	}
	more.Add([]byte("{\"a\":-1}\n"), 0)
	a := answerTo(t, plan, firstMinute, full)
	if n := len(a.Rows()); n != MaxRows {
		t.Errorf("%d rows, want %d", n, MaxRows)
	}
	if err := a.Add(more); !errors.Is(err, ErrTooManyRows) {
		t.Errorf("one group more: %v, want ErrTooManyRows", err)
	}
}

func TestQueryIsRefused(t *testing.T) {
	plan := must(t, cfg("a b", "n"))
	for name, tc := range map[string]struct {
		query Query
		want  QueryError
	}{
		"no time at all":                {Query{From: at(60), To: at(60)}, QueryError{"to", "1970-01-01T00:01:00Z", "it must be later than from, which is 1970-01-01T00:01:00Z"}},
		"a step within a window":        {Query{To: at(60), Step: 90e9, From: at(0)}, QueryError{"step", "1m30s", "write a multiple of the window, 1m0s, or 0 for all of the time"}},
		"a field that isn't grouped by": {Query{To: at(60), From: at(0), By: []string{"a", "n"}}, QueryError{"by", "n", "choose fields of aggregation.groupBy: a, b"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := plan.NewAnswer(tc.query)
			var got *QueryError
			if !errors.As(err, &got) || *got != tc.want {
				t.Errorf("%v, want %v", err, &tc.want)
			}
		})
	}
}
