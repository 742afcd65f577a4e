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

var colors = map[string]string{"delay": "#0b62b5", "lag": "#d4620c", "intake": "#0b62b5", "queue": "#d4620c", "oracle": "#6b7a86"}

// Race is a load played against several scalers, ours first.
type Race struct {
	Name     string // also of its files
	Outcomes []Outcome
	// Reactions are the scalers' slowest, in seconds; see worstReaction.
	Reactions []int
	// waiting is the title of the last panel of the drawing, and mark a level
	// of it.
	waiting string
	mark    float64
}

// Races are all loads, for consumers and for ingesters, in worlds of default
// pipelines.
func Races() (consumers, ingesters []Race) {
	for _, load := range Loads() {
		r := Race{Name: load.Name, waiting: "age of the oldest record that is not stored, in seconds (dashed: the target)", mark: Target.Seconds()}
		for _, scaler := range []Scaler{ByDelay(Ours(), Target), ByLag(), Oracle()} {
			r.Outcomes = append(r.Outcomes, Run(DefaultWorld(), load, scaler))
			r.Reactions = append(r.Reactions, WorstReaction(DefaultWorld(), load, scaler))
		}
		consumers = append(consumers, r)
	}
	for _, load := range IntakeLoads() {
		r := Race{Name: "intake-" + load.Name, waiting: "what waits in queues, or was refused and comes again, in seconds of work"}
		for _, scaler := range []IntakeScaler{ByIntake(), ByQueue(), IntakeOracle()} {
			r.Outcomes = append(r.Outcomes, RunIntake(DefaultIntakeWorld(), load, scaler))
			r.Reactions = append(r.Reactions, WorstIntakeReaction(DefaultIntakeWorld(), load, scaler))
		}
		ingesters = append(ingesters, r)
	}
	return consumers, ingesters
}

// Draw writes an SVG of the runs of one load.
func (r Race) Draw(w io.Writer) error {
	pods, waiting := plot.Panel{Title: "pods"}, plot.Panel{Title: r.waiting, Mark: r.mark}
	for _, o := range r.Outcomes {
		pods.Lines = append(pods.Lines, o.line(func(s Second) float64 { return float64(s.Replicas) }))
		waiting.Lines = append(waiting.Lines, o.line(func(s Second) float64 { return float64(s.Delay) }))
	}
	load := r.Outcomes[0].line(func(s Second) float64 { return s.Rate })
	load.Name, load.Color = "", "#333333"
	return plot.Draw(w, float64(len(r.Outcomes[0].Seconds)), []plot.Panel{
		{Title: "arriving records a second", Lines: []plot.Line{load}}, pods, waiting,
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
func (r Race) WriteCSV(w io.Writer) error {
	outcomes := r.Outcomes
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
func WriteTable(w io.Writer, races []Race) error {
	out := bufio.NewWriter(w)
	fmt.Fprintln(out, "| load | scaler | slowest reaction | settled | most pods | overshoots | changes | pod-minutes | late, minutes | worst delay |")
	fmt.Fprintln(out, "|---|---|---|---|---|---|---|---|---|---|")
	for _, r := range races {
		for i, o := range r.Outcomes {
			s := o.Summarize()
			fmt.Fprintf(out, "| %s | %s | %s | %s | %d | %d | %d | %.0f | %.1f | %d s |\n", o.Load.Name, o.Scaler,
				orNone(r.Reactions[i]), orNone(s.Settling), s.Most, s.Overshoots, s.Steps, s.ReplicaMinutes, s.LateMinutes, s.WorstDelay)
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
