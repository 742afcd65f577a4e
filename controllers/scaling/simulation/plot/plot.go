// Package plot draws what happened over time as an SVG of panels, one below the
// other.
package plot

import (
	"bufio"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
)

const (
	width, panelHeight     = 860, 150
	left, right, top, foot = 60, 20, 40, 40
	gap                    = 34
)

// Panel is one diagram.
type Panel struct {
	Title string
	// Lines are drawn one above the other, the first on top.
	Lines []Line
	// Mark is a level worth a dashed line; 0 for none.
	Mark float64
}

// Line is a number over time. Lines of one name, in whatever panels, have one
// entry in the legend; those without a name have none.
type Line struct {
	Name, Color string
	Points      []Point
}

// Point is a number from a time on, in seconds. NaN is a number that isn't
// known, and leaves a hole.
type Point struct{ At, Value float64 }

// Draw writes an SVG of what happened in a number of seconds.
func Draw(w io.Writer, seconds float64, panels []Panel) error {
	out := bufio.NewWriter(w)
	height := top + len(panels)*(panelHeight+gap) + foot
	fmt.Fprintf(out, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="12">`+"\n", width, height)
	fmt.Fprintf(out, `<rect width="%d" height="%d" fill="#ffffff"/>`+"\n", width, height)
	legend(out, panels)
	for i, p := range panels {
		p.draw(out, seconds, top+i*(panelHeight+gap))
	}
	fmt.Fprintln(out, "</svg>")
	return out.Flush()
}

func legend(out io.Writer, panels []Panel) {
	var names []string
	for _, p := range panels {
		for _, l := range p.Lines {
			if l.Name == "" || slices.Contains(names, l.Name) {
				continue
			}
			x := left + 120*len(names)
			fmt.Fprintf(out, `<path d="M%d 18h24" stroke="%s" stroke-width="3"/><text x="%d" y="22">%s</text>`+"\n", x, l.Color, x+30, l.Name)
			names = append(names, l.Name)
		}
	}
}

func (p Panel) draw(out io.Writer, seconds float64, y int) {
	most := p.most()
	fmt.Fprintf(out, `<text x="%d" y="%d" font-weight="bold">%s</text>`+"\n", left, y+12, p.Title)
	bottom := y + gap/2 + panelHeight
	scale := func(v float64) float64 { return float64(bottom) - v/most*(panelHeight-8) }
	for _, level := range []float64{0, most / 2, most} {
		fmt.Fprintf(out, `<path d="M%d %.1fH%d" stroke="#dddddd"/><text x="%d" y="%.1f" text-anchor="end">%s</text>`+"\n",
			left, scale(level), width-right, left-6, scale(level)+4, strconv.FormatFloat(level, 'f', -1, 64))
	}
	if p.Mark > 0 {
		fmt.Fprintf(out, `<path d="M%d %.1fH%d" stroke="#222222" stroke-dasharray="5 4"/>`+"\n", left, scale(p.Mark), width-right)
	}
	for minute := 0; minute <= int(seconds)/60; minute += minutesApart(int(seconds) / 60) {
		fmt.Fprintf(out, `<text x="%.1f" y="%d" text-anchor="middle" fill="#666666">%d min</text>`+"\n", along(float64(minute*60), seconds), bottom+14, minute)
	}
	for _, l := range slices.Backward(p.Lines) {
		fmt.Fprintf(out, `<path d="%s" fill="none" stroke="%s" stroke-width="1.5"/>`+"\n", l.path(seconds, scale), l.Color)
	}
}

// most is where the panel ends.
func (p Panel) most() float64 {
	most := p.Mark
	for _, l := range p.Lines {
		for _, point := range l.Points {
			if !math.IsNaN(point.Value) {
				most = max(most, point.Value)
			}
		}
	}
	return roundUp(most)
}

func minutesApart(minutes int) int {
	if minutes < 15 {
		return 1
	}
	return max(5, minutes/12/5*5)
}

func (l Line) path(seconds float64, scale func(float64) float64) string {
	var path strings.Builder
	hole := true
	for _, p := range l.Points {
		x := along(p.At, seconds)
		switch {
		case math.IsNaN(p.Value):
			if !hole {
				fmt.Fprintf(&path, "H%.1f", x)
			}
		case hole:
			fmt.Fprintf(&path, "M%.1f %.1f", x, scale(p.Value))
		default:
			fmt.Fprintf(&path, "H%.1fV%.1f", x, scale(p.Value))
		}
		hole = math.IsNaN(p.Value)
	}
	return path.String()
}

func along(at, seconds float64) float64 {
	return left + at/seconds*(width-left-right)
}

// roundUp is the next number that begins with 1, 2, 3, 4, 5, 6 or 8, then zeros.
func roundUp(v float64) float64 {
	unit := math.Pow(10, math.Floor(math.Log10(max(v, 1))))
	for _, digit := range []float64{1, 2, 3, 4, 5, 6, 8} {
		if v <= digit*unit {
			return digit * unit
		}
	}
	return 10 * unit
}
