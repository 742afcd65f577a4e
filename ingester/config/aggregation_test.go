package config

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestAggregationIsOffByDefault(t *testing.T) {
	if off := Default().Aggregation; off.Enabled() {
		t.Errorf("%+v is enabled", off)
	}
	broken := Aggregation{WindowSeconds: -1}
	if err := broken.Validate(); err != nil {
		t.Errorf("what is off is refused: %v", err)
	}
}

func TestParseAggregation(t *testing.T) {
	c, err := Parse([]byte("aggregation: {windowSeconds: 10, groupBy: [level, http.status], numeric: [duration]}\n"), Default())
	if err != nil {
		t.Fatal(err)
	}
	want := Aggregation{
		WindowSeconds: 10, GroupBy: []string{"level", "http.status"}, Numeric: []string{"duration"},
		Quantiles: []float64{0.5, 0.9, 0.99}, MaxGroups: 500,
	}
	if diff := cmp.Diff(want, c.Aggregation); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if err := c.Aggregation.Validate(); err != nil {
		t.Error(err)
	}
}

func TestValidateAggregation(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(*Aggregation)
		want   string
	}{
		"a window of no time":       {func(a *Aggregation) { a.WindowSeconds = 0 }, "aggregation.windowSeconds is 0: choose from 1 to 86400"},
		"no room for a group":       {func(a *Aggregation) { a.MaxGroups = 0 }, "aggregation.maxGroups is 0: choose from 1 to 10000"},
		"too many fields":           {func(a *Aggregation) { a.GroupBy = strings.Fields("a b c d e f g h i") }, "aggregation.groupBy has 9 fields: give at most 8"},
		"a field that stands twice": {func(a *Aggregation) { a.Numeric = []string{"d", "d"} }, `aggregation.numeric[1] is "d", which stands there twice`},
		"a field without a name":    {func(a *Aggregation) { a.GroupBy = []string{""} }, "aggregation.groupBy[0] is empty"},
		"a percentile":              {func(a *Aggregation) { a.Quantiles = []float64{99} }, "aggregation.quantiles[0] is 99: choose from 0 to 1"},
	} {
		t.Run(name, func(t *testing.T) {
			c := Default()
			c.Topic = "logs"
			c.Aggregation.GroupBy = []string{"level"}
			tc.change(&c.Aggregation)
			err := c.Validate(RoleStandalone)
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("%v, want %q", err, tc.want)
			}
		})
	}
}
