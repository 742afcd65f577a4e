// Command simulation plays the loads that the autoscaling defaults are chosen
// by, and writes a plot and a CSV file of each into a folder, and a table to
// standard output:
//
//	go run ./hack/simulation --output docs/autoscaling --csv=false
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/logpipeline/logpipeline/controllers/scaling/simulation"
)

func main() {
	output := flag.String("output", ".", "folder of the files")
	tables := flag.Bool("csv", true, "write CSV files beside the plots")
	flag.Parse()
	if err := run(*output, *tables); err != nil {
		fmt.Fprintln(os.Stderr, "simulation:", err)
		os.Exit(1)
	}
}

func run(output string, tables bool) error {
	if err := os.MkdirAll(output, 0o755); err != nil {
		return err
	}
	for _, load := range simulation.Loads() {
		var outcomes []simulation.Outcome
		for _, scaler := range simulation.Contenders() {
			outcomes = append(outcomes, simulation.Run(simulation.DefaultWorld(), load, scaler))
		}
		name := filepath.Join(output, load.Name)
		if err := write(name+".svg", outcomes, simulation.Draw); err != nil {
			return err
		}
		if tables {
			if err := write(name+".csv", outcomes, simulation.WriteCSV); err != nil {
				return err
			}
		}
	}
	return simulation.WriteTable(os.Stdout, simulation.DefaultWorld())
}

func write(name string, outcomes []simulation.Outcome, content func(io.Writer, []simulation.Outcome) error) error {
	file, err := os.Create(name)
	if err != nil {
		return err
	}
	return errors.Join(content(file, outcomes), file.Close())
}
