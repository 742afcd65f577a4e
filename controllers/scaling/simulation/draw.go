package simulation

import (
	"bufio"
	"encoding/csv"
	"fmt"
	"io"
	"strconv"

	"github.com/logpipeline/logpipeline/controllers/scaling/simulation/plot"
)

// drawnEvery is how many seconds a point of a line stands for: the most of them.
const drawnEvery = 15

var colors = map[string]string{"delay": "#0b62b5", "lag": "#d4620c", "oracle": "#6b7a86"}

// Draw writes an SVG of the runs of one load.
func Draw(w io.Writer, outcomes []Outcome) error {
	pods, delay := plot.Panel{Title: "pods"}, plot.Panel{
		Title: "age of the oldest record that is not stored, in seconds (dashed: the target)", Mark: Target.Seconds(),
	}
	for _, o := range outcomes {
		pods.Lines = append(pods.Lines, o.line(func(s Second) float64 { return float64(s.Replicas) }))
		delay.Lines = append(delay.Lines, o.line(func(s Second) float64 { return float64(s.Delay) }))
	}
	load := outcomes[0].line(func(s Second) float64 { return s.Rate })
	load.Name, load.Color = "", "#333333"
	return plot.Draw(w, float64(len(outcomes[0].Seconds)), []plot.Panel{
		{Title: "arriving records a second", Lines: []plot.Line{load}}, pods, delay,
	})
}

func (o Outcome) line(of func(Second) float64) plot.Line {
	line := plot.Line{Name: o.Scaler, Color: colors[o.Scaler]}
	for at := 0; at < len(o.Seconds); at += drawnEvery {
		most := 0.0
		for _, s := range o.Seconds[at:min(at+drawnEvery, len(o.Seconds))] {
			most = max(most, of(s))
		}
		line.Points = append(line.Points, plot.Point{At: float64(at), Value: most})
	}
	return line
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
