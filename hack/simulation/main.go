// Command simulation plays the loads that the autoscaling defaults are chosen
// by, and writes a plot and a CSV file of each into a folder, and tables to
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
	consumers, ingesters := simulation.Races()
	for _, race := range append(consumers, ingesters...) {
		name := filepath.Join(output, race.Name)
		if err := write(name+".svg", race.Draw); err != nil {
			return err
		}
		if tables {
			if err := write(name+".csv", race.WriteCSV); err != nil {
				return err
			}
		}
	}
	fmt.Println("Consumers:")
	if err := simulation.WriteTable(os.Stdout, consumers); err != nil {
		return err
	}
	fmt.Println("\nIngesters:")
	return simulation.WriteTable(os.Stdout, ingesters)
}

func write(name string, content func(io.Writer) error) error {
	file, err := os.Create(name)
	if err != nil {
		return err
	}
	return errors.Join(content(file), file.Close())
}
