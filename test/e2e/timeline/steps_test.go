package timeline

import (
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/logpipeline/logpipeline/test/e2e/scenario"
)

func moments(delays []float64, replicas ...int) []Moment {
	var all []Moment
	for i, n := range replicas {
		all = append(all, Moment{At: time.Duration(i) * Every, Replicas: n, Pages: []map[string]float64{{DelaySeconds: delays[i]}}})
	}
	return all
}

func TestWrongSteps(t *testing.T) {
	cases := map[string]struct {
		delays   []float64
		replicas []int
		wrong    int
	}{
		"up while late":                {[]float64{50, 60}, []int{1, 4}, 0},
		"down when nothing is late":    {[]float64{5, 6}, []int{4, 1}, 0},
		"down while late":              {[]float64{50, 60}, []int{4, 1}, 1},
		"late only after the step":     {[]float64{5, 60}, []int{4, 1}, 0},
		"the delay isn't known":        {[]float64{math.NaN(), math.NaN()}, []int{4, 1}, 0},
		"late, down, up and down late": {[]float64{50, 50, 50, 50}, []int{4, 2, 3, 2}, 2},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			wrong := WrongSteps(moments(c.delays, c.replicas...), DelaySeconds, func(Moment) float64 { return 20 })
			if len(wrong) != c.wrong {
				t.Errorf("%q, want %d", wrong, c.wrong)
			}
		})
	}
}

func TestAddedAndBounds(t *testing.T) {
	seen := moments(make([]float64, 6), 1, 4, 4, 0, 1, 0)
	least, most := Bounds(seen)
	if added := Added(seen); added != 5 || least != 0 || most != 4 {
		t.Errorf("%d added, between %d and %d; want 5, between 0 and 4", added, least, most)
	}
}

func TestLongestGap(t *testing.T) {
	down := errors.New("down")
	seen := moments(make([]float64, 6), 1, 1, 1, 1, 1, 1)
	for _, i := range []int{0, 2, 3, 5} { // the first is before anything was served
		seen[i].ServedErr = down
	}
	if gap, why := LongestGap(seen); gap != 2*Every || !errors.Is(why, down) {
		t.Errorf("%v (%v), want %v", gap, why, 2*Every)
	}
}

func TestNumbersOfThePage(t *testing.T) {
	page := `# HELP logpipeline_consumer_lag_records x
logpipeline_consumer_lag_records{namespace="a",pipeline="x"} 1.25e+06
logpipeline_consumer_lag_records{namespace="a",pipeline="y"} 7
logpipeline_consumer_delay_seconds{namespace="a",pipeline="x"} 0
other{namespace="a",pipeline="x"} 3
`
	want := map[string]float64{LagRecords: 1_250_000, DelaySeconds: 0}
	if diff := cmp.Diff(want, numbersOf(page, scenario.Pipeline{Namespace: "a", Name: "x"})); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

func TestWrite(t *testing.T) {
	seen := moments([]float64{1, math.NaN(), 3}, 1, 4, 1)
	for i := range seen {
		seen[i].Told, seen[i].Served = math.NaN(), float64(i)
	}
	folder := filepath.Join(t.TempDir(), "new")
	if err := Write(folder, "x", seen, 20); err != nil {
		t.Fatal(err)
	}
	table, err := os.ReadFile(filepath.Join(folder, "x.csv"))
	if err != nil {
		t.Fatal(err)
	}
	if lines := strings.Split(strings.TrimSpace(string(table)), "\n"); len(lines) != 4 || lines[2] != "2.0,4,0,0,,1,,,,,,,," {
		t.Errorf("%q", lines)
	}
	if drawing, err := os.ReadFile(filepath.Join(folder, "x.svg")); err != nil || !strings.Contains(string(drawing), "<svg") {
		t.Errorf("%v: %s", err, drawing)
	}
}
