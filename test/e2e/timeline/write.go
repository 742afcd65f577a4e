package timeline

import (
	"encoding/csv"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"strconv"

	"github.com/logpipeline/logpipeline/controllers/scaling/simulation/plot"
)

// Write writes what was seen into a folder, as <name>.csv and <name>.svg.
func Write(folder, name string, moments []Moment, targetDelay float64) error {
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	base := filepath.Join(folder, name)
	return errors.Join(
		writeFile(base+".csv", func(w io.Writer) error { return writeCSV(w, moments) }),
		writeFile(base+".svg", func(w io.Writer) error { return draw(w, moments, targetDelay) }),
	)
}

func writeFile(path string, content func(io.Writer) error) error {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	return errors.Join(content(file), file.Close())
}

func writeCSV(w io.Writer, moments []Moment) error {
	out := csv.NewWriter(w)
	head := []string{"second", "replicas", "ready", "desired", "told_per_pod", "served"}
	head = append(head, pageNames...)
	lines := [][]string{append(head, "decision")}
	for _, m := range moments {
		line := []string{
			strconv.FormatFloat(m.At.Seconds(), 'f', 1, 64), strconv.Itoa(m.Replicas), strconv.Itoa(m.Ready), strconv.Itoa(m.Desired), number(m.Told), number(m.Served),
		}
		for _, name := range pageNames {
			line = append(line, number(m.On(name)))
		}
		lines = append(lines, append(line, m.Reason))
	}
	return out.WriteAll(lines)
}

// number leaves what isn't known empty.
func number(v float64) string {
	if math.IsNaN(v) {
		return ""
	}
	return strconv.FormatFloat(v, 'f', -1, 64)
}

const (
	blue, orange, grey = "#0b62b5", "#d4620c", "#6b7a86"
)

func draw(w io.Writer, moments []Moment, targetDelay float64) error {
	if len(moments) == 0 {
		return errors.New("draw: nothing has been seen")
	}
	on := func(name string) func(Moment) float64 { return func(m Moment) float64 { return m.On(name) } }
	panels := []plot.Panel{
		{Title: "pods", Lines: []plot.Line{
			line("asked for", blue, moments, func(m Moment) float64 { return float64(m.Replicas) }),
			line("ready", grey, moments, func(m Moment) float64 { return float64(m.Ready) }),
		}},
		{Title: "records that are not stored", Lines: []plot.Line{line("", blue, moments, on(LagRecords))}},
		{Title: "age of the oldest of them, in seconds (dashed: the target)", Mark: targetDelay, Lines: []plot.Line{line("", blue, moments, on(DelaySeconds))}},
		{Title: "records a second", Lines: []plot.Line{line("arriving", grey, moments, on(Arrival)), line("stored", orange, moments, on(Drain))}},
		{Title: "bytes in the ingesters' queues", Lines: []plot.Line{line("", blue, moments, on(QueueBytes))}},
	}
	return plot.Draw(w, moments[len(moments)-1].At.Seconds()+Every.Seconds(), panels)
}

func line(name, color string, moments []Moment, of func(Moment) float64) plot.Line {
	l := plot.Line{Name: name, Color: color}
	for _, m := range moments {
		l.Points = append(l.Points, plot.Point{At: m.At.Seconds(), Value: of(m)})
	}
	return l
}
