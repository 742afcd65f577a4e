package plot

import (
	"math"
	"strings"
	"testing"
)

func TestRoundUp(t *testing.T) {
	for v, want := range map[float64]float64{0: 1, 1: 1, 7: 8, 24: 30, 60: 60, 81_000: 100_000, 0.5: 1} {
		if got := roundUp(v); got != want {
			t.Errorf("roundUp(%v) = %v, want %v", v, got, want)
		}
	}
}

func TestLineWithAHole(t *testing.T) {
	line := Line{Points: []Point{{0, math.NaN()}, {100, 1}, {200, 2}, {300, math.NaN()}, {400, math.NaN()}, {500, 3}}}
	got := line.path(780, func(v float64) float64 { return v })
	if want := "M160.0 1.0H260.0V2.0H360.0M560.0 3.0"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestLegendNamesEachLineOnce(t *testing.T) {
	line := Line{Name: "ours", Color: "#0b62b5", Points: []Point{{0, 1}}}
	var out strings.Builder
	if err := Draw(&out, 60, []Panel{{Title: "a", Lines: []Line{line, {Color: "#333333"}}}, {Title: "b", Lines: []Line{line}}}); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(out.String(), ">ours<"); n != 1 {
		t.Errorf("named %d times:\n%s", n, out.String())
	}
}
