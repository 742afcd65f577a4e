package aggregate

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestWriteText(t *testing.T) {
	c := cfg("level service", "d")
	c.MaxGroups = 2
	plan := must(t, c)
	a, err := plan.NewAnswer(firstMinute)
	if err == nil {
		err = a.Add(rolledUp(plan, `{"level":"info","service":"cart","d":1500000}`, `{"level":"","d":"?"}`, `{}`))
	}
	if err != nil {
		t.Fatal(err)
	}
	a.unplaced.records = 7
	var text strings.Builder
	if err := a.Report(Coverage{Segments: 4, Missing: 2, Recomputed: 1}).WriteText(&text); err != nil {
		t.Fatal(err)
	}
	want := strings.Join([]string{
		`START                 level    service  RECORDS  BYTES  d COUNT  SUM      MIN      MAX      q0.5     q0.9     q0.99`,
		`1970-01-01T00:00:00Z  ""       -        1        20     0        -        -        -        -        -        -`,
		`1970-01-01T00:00:00Z  "info"   "cart"   1        45     1        1.5e+06  1.5e+06  1.5e+06  1.5e+06  1.5e+06  1.5e+06`,
		`1970-01-01T00:00:00Z  (other)  -        1        2      0        -        -        -        -        -        -`,
		``, `4 segments, 1 of them counted anew; 2 ARE MISSING from the rows; 7 records are in no row, as their segments have too many windows`, ``,
	}, "\n")
	if diff := cmp.Diff(want, text.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
