package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"

	"github.com/logpipeline/logpipeline/ingester/spool"
)

// spoolActions are what spoolCommand does with a directory.
var spoolActions = map[string]func(dir, format string, out output) error{
	"status": func(dir, format string, out output) error {
		_, err := reportSpool(dir, format, out)
		return err
	},
	"verify": func(dir, format string, out output) error {
		sound, err := reportSpool(dir, format, out)
		if err == nil && !sound {
			err = errSaid
		}
		return err
	},
	"repair": func(dir, _ string, out output) error { return spool.Repair(dir, out.stdout) },
}

// spoolCommand looks into the spool of a process that may be running (status,
// verify), or mends that of one that isn't (repair). Flags may stand before and
// behind the action.
func spoolCommand(_ context.Context, arguments []string, out output) error {
	flags := flag.NewFlagSet("spool", flag.ContinueOnError)
	format := flags.String("o", "text", "print the report as `text` or json (status, verify)")
	flags.SetOutput(io.Discard)
	var rest []string
	err := flags.Parse(arguments)
	for err == nil && flags.NArg() > 0 {
		rest = append(rest, flags.Arg(0))
		err = flags.Parse(flags.Args()[1:])
	}
	if errors.Is(err, flag.ErrHelp) {
		printSpoolUsage(flags, out)
		return err
	}
	if err != nil {
		return usageError{err}
	}
	verb := ""
	if len(rest) > 0 {
		verb, rest = rest[0], rest[1:]
	}
	action, known := spoolActions[verb]
	switch {
	case !known:
		return usageError{fmt.Errorf("the action is %q: choose status, verify or repair", verb)}
	case len(rest) != 1:
		return usageError{fmt.Errorf("%d directories: name the one that holds the spool", len(rest))}
	case *format != "text" && *format != "json":
		return usageError{fmt.Errorf("-o is %q: choose text or json", *format)}
	}
	return action(rest[0], *format, out)
}

func printSpoolUsage(flags *flag.FlagSet, out output) {
	fmt.Fprint(out.stdout, `Usage: ingester spool [FLAGS] status|verify|repair DIR

  status  say what the spool holds
  verify  fail when something in it can't be read
  repair  set aside what can't be read, and keep all else; no process may have it open

`)
	flags.SetOutput(out.stdout)
	flags.PrintDefaults()
}

func reportSpool(dir, format string, out output) (sound bool, err error) {
	report, err := spool.Inspect(dir)
	if err != nil {
		return false, err
	}
	if format == "text" {
		return report.Sound(), report.WriteText(out.stdout)
	}
	encoder := json.NewEncoder(out.stdout)
	encoder.SetIndent("", "  ")
	return report.Sound(), encoder.Encode(report)
}
