package simulation

import (
	"bufio"
	"encoding/csv"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
)

const (
	width, panelHeight     = 860, 150
	left, right, top, foot = 60, 20, 40, 40
	gap                    = 34
	// drawnEvery is how many seconds a point of a line stands for: the most of
	// them.
	drawnEvery = 15
)

var colors = map[string]string{"delay": "#0b62b5", "lag": "#d4620c", "oracle": "#6b7a86"}

// panel is one diagram over the time of a load.
type panel struct {
	title string
	of    func(Second) float64
	each  bool    // scaler has a line of its own, or all share one
	mark  float64 // a level worth a dashed line; 0 for none
}

var panels = []panel{
	{title: "arriving records a second", of: func(s Second) float64 { return s.Rate }},
	{title: "pods", of: func(s Second) float64 { return float64(s.Replicas) }, each: true},
	{title: "age of the oldest record that is not stored, in seconds (dashed: the target)", of: func(s Second) float64 { return float64(s.Delay) }, each: true, mark: Target.Seconds()},
}

// Draw writes an SVG of the runs of one load.
func Draw(w io.Writer, outcomes []Outcome) error {
	out := bufio.NewWriter(w)
	height := top + len(panels)*(panelHeight+gap) + foot
	fmt.Fprintf(out, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="12">`+"\n", width, height)
	fmt.Fprintf(out, `<rect width="%d" height="%d" fill="#ffffff"/>`+"\n", width, height)
	x := left
	for _, o := range outcomes {
		fmt.Fprintf(out, `<path d="M%d 18h24" stroke="%s" stroke-width="3"/><text x="%d" y="22">%s</text>`+"\n", x, colors[o.Scaler], x+30, o.Scaler)
		x += 120
	}
	for i, p := range panels {
		p.draw(out, outcomes, top+i*(panelHeight+gap))
	}
	fmt.Fprintln(out, "</svg>")
	return out.Flush()
}

func (p panel) draw(out io.Writer, outcomes []Outcome, y int) {
	most := p.mark
	for _, o := range outcomes {
		for _, s := range o.Seconds {
			most = max(most, p.of(s))
		}
	}
	most = roundUp(most)
	seconds := len(outcomes[0].Seconds)
	fmt.Fprintf(out, `<text x="%d" y="%d" font-weight="bold">%s</text>`+"\n", left, y+12, p.title)
	bottom := y + gap/2 + panelHeight
	scale := func(v float64) float64 { return float64(bottom) - v/most*(panelHeight-8) }
	for _, level := range []float64{0, most / 2, most} {
		fmt.Fprintf(out, `<path d="M%d %.1fH%d" stroke="#dddddd"/><text x="%d" y="%.1f" text-anchor="end">%s</text>`+"\n",
			left, scale(level), width-right, left-6, scale(level)+4, strconv.FormatFloat(level, 'f', -1, 64))
	}
	if p.mark > 0 {
		fmt.Fprintf(out, `<path d="M%d %.1fH%d" stroke="#222222" stroke-dasharray="5 4"/>`+"\n", left, scale(p.mark), width-right)
	}
	for minute := 0; minute <= seconds/60; minute += max(5, seconds/60/12/5*5) {
		fmt.Fprintf(out, `<text x="%.1f" y="%d" text-anchor="middle" fill="#666666">%d min</text>`+"\n", along(minute*60, seconds), bottom+14, minute)
	}
	for i := len(outcomes) - 1; i >= 0; i-- { // ours above the others
		o := outcomes[i]
		color := colors[o.Scaler]
		if !p.each {
			if i > 0 {
				continue
			}
			color = "#333333"
		}
		fmt.Fprintf(out, `<path d="%s" fill="none" stroke="%s" stroke-width="1.5"/>`+"\n", p.line(o, scale), color)
	}
}

func (p panel) line(o Outcome, scale func(float64) float64) string {
	var path strings.Builder
	for at := 0; at < len(o.Seconds); at += drawnEvery {
		most := 0.0
		for _, s := range o.Seconds[at:min(at+drawnEvery, len(o.Seconds))] {
			most = max(most, p.of(s))
		}
		if at == 0 {
			fmt.Fprintf(&path, "M%.1f %.1f", along(at, len(o.Seconds)), scale(most))
			continue
		}
		fmt.Fprintf(&path, "H%.1fV%.1f", along(at, len(o.Seconds)), scale(most))
	}
	return path.String()
}

func along(at, seconds int) float64 {
	return left + float64(at)/float64(seconds)*(width-left-right)
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

// WriteCSV writes the runs of one load, a line every fifteen seconds.
func WriteCSV(w io.Writer, outcomes []Outcome) error {
	out := csv.NewWriter(w)
	head := []string{"second", "records_per_second"}
	for _, o := range outcomes {
		head = append(head, o.Scaler+"_pods", o.Scaler+"_lag_records", o.Scaler+"_delay_seconds")
	}
	if err := out.Write(head); err != nil {
		return err
	}
	for at := 0; at < len(outcomes[0].Seconds); at += drawnEvery {
		line := []string{strconv.Itoa(at), strconv.FormatFloat(outcomes[0].Seconds[at].Rate, 'f', 0, 64)}
		for _, o := range outcomes {
			s := o.Seconds[at]
			line = append(line, strconv.Itoa(s.Replicas), strconv.FormatFloat(s.Records, 'f', 0, 64), strconv.Itoa(s.Delay))
		}
		if err := out.Write(line); err != nil {
			return err
		}
	}
	out.Flush()
	return out.Error()
}

// WriteTable writes what the runs of all loads come to, in Markdown.
func WriteTable(w io.Writer, world World) error {
	out := bufio.NewWriter(w)
	fmt.Fprintln(out, "| load | scaler | slowest reaction | settled | most pods | overshoots | changes | pod-minutes | late, minutes | worst delay |")
	fmt.Fprintln(out, "|---|---|---|---|---|---|---|---|---|---|")
	for _, load := range Loads() {
		for _, scaler := range Contenders() {
			s := Run(world, load, scaler).Summarize()
			fmt.Fprintf(out, "| %s | %s | %s | %s | %d | %d | %d | %.0f | %.1f | %d s |\n", load.Name, scaler.Name,
				orNone(WorstReaction(world, load, scaler)), orNone(s.Settling), s.Most, s.Overshoots, s.Steps, s.ReplicaMinutes, s.LateMinutes, s.WorstDelay)
		}
	}
	return out.Flush()
}

func orNone(seconds int) string {
	if seconds < 0 {
		return "–"
	}
	return strconv.Itoa(seconds) + " s"
}

// Contenders are the scalers that are compared, ours first.
func Contenders() []Scaler { return []Scaler{ByDelay(Ours(), Target), ByLag(), Oracle()} }
