package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/logpipeline/logpipeline/ingester/durable"
	"github.com/logpipeline/logpipeline/ingester/spool"
)

// spoolCall is how a verb was called.
type spoolCall struct{ dir, format, to string }

// spoolVerb is what can be done with a spool's directory.
type spoolVerb struct {
	name, summary string
	run           func(call spoolCall, out output) error
}

var spoolVerbs = []spoolVerb{
	{"status", "say what the spool holds", spoolStatus},
	{"verify", "fail when something in it can't be read", verifySpool},
	{"repair", "set aside what can't be read, and keep all else; no process may have it open", repairSpool},
	{"salvage", "write the records that can be read in what was set aside to a new file, one per line", salvageSpool},
}

// spoolCommand looks into the spool of a process that may be running, or mends
// that of one that isn't. Flags may stand before and behind the verb.
func spoolCommand(_ context.Context, arguments []string, out output) error {
	var call spoolCall
	flags := flag.NewFlagSet("spool", flag.ContinueOnError)
	flags.StringVar(&call.format, "o", "text", "print the report as `text` or json (all but repair)")
	flags.StringVar(&call.to, "to", "", "write the records to this `file`, which must not be there yet (salvage)")
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
	verb, err := call.parse(rest)
	if err != nil {
		return usageError{err}
	}
	return verb.run(call, out)
}

// parse returns the verb, and checks what it is called with.
func (c *spoolCall) parse(arguments []string) (spoolVerb, error) {
	name := ""
	if len(arguments) > 0 {
		name, arguments = arguments[0], arguments[1:]
	}
	i := slices.IndexFunc(spoolVerbs, func(v spoolVerb) bool { return v.name == name })
	switch {
	case i < 0:
		return spoolVerb{}, fmt.Errorf("the verb is %q: choose one of %s", name, strings.Join(spoolVerbNames(), ", "))
	case len(arguments) != 1:
		return spoolVerb{}, fmt.Errorf("%d directories: name the one that holds the spool", len(arguments))
	case c.format != "text" && c.format != "json":
		return spoolVerb{}, fmt.Errorf("-o is %q: choose text or json", c.format)
	case name == "salvage" && c.to == "":
		return spoolVerb{}, errors.New("no file for the records: name one with --to")
	}
	c.dir = arguments[0]
	return spoolVerbs[i], nil
}

func spoolVerbNames() (names []string) {
	for _, v := range spoolVerbs {
		names = append(names, v.name)
	}
	return names
}

func printSpoolUsage(flags *flag.FlagSet, out output) {
	fmt.Fprint(out.stdout, "Usage: ingester spool [FLAGS] VERB DIR\n\n")
	for _, v := range spoolVerbs {
		fmt.Fprintf(out.stdout, "  %-9s%s\n", v.name, v.summary)
	}
	fmt.Fprintln(out.stdout)
	flags.SetOutput(out.stdout)
	flags.PrintDefaults()
}

func spoolStatus(call spoolCall, out output) error {
	_, err := inspectSpool(call, out)
	return err
}

func verifySpool(call spoolCall, out output) error {
	report, err := inspectSpool(call, out)
	if err == nil && !report.Sound() {
		return errSaid
	}
	return err
}

func inspectSpool(call spoolCall, out output) (spool.Report, error) {
	report, err := spool.Inspect(call.dir)
	if err != nil {
		return report, err
	}
	return report, call.print(report, out)
}

func repairSpool(call spoolCall, out output) error { return spool.Repair(call.dir, out.stdout) }

// salvageSpool leaves no file where there is nothing to salvage from.
func salvageSpool(call spoolCall, out output) error {
	file, err := os.OpenFile(call.to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("create the file for the records: %w", err)
	}
	w := bufio.NewWriter(file)
	found, err := spool.Salvage(call.dir, w)
	err = errors.Join(err, w.Flush(), file.Sync(), file.Close())
	if err == nil && found.Records > 0 {
		err = durable.SyncDir(filepath.Dir(call.to))
	} else {
		err = errors.Join(err, os.Remove(call.to))
	}
	if err != nil {
		return err
	}
	return call.print(found, out)
}

// spoolReport is what a verb found.
type spoolReport interface {
	WriteText(w io.Writer) error
}

func (c *spoolCall) print(report spoolReport, out output) error {
	if c.format == "text" {
		return report.WriteText(out.stdout)
	}
	encoder := json.NewEncoder(out.stdout)
	encoder.SetIndent("", "  ")
	return encoder.Encode(report)
}
