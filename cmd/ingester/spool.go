package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"

	"github.com/logpipeline/logpipeline/ingester/durable"
	"github.com/logpipeline/logpipeline/ingester/spool"
)

// spoolVerbs look into the spool of a process that may be running, or mend
// that of one that isn't.
var spoolVerbs = verbs{"spool", "A spool keeps batches on disk until they are in Kafka. Its verbs take the directory that holds it.", []command{
	{"status", "say what the spool holds", spoolStatus},
	{"verify", "fail when something in it can't be read", verifySpool},
	{"repair", "set aside what can't be read, and keep all else; no process may have it open", repairSpool},
	{"salvage", "write the records that can be read in what was set aside to a new file, one per line", salvageSpool},
}}

func spoolStatus(_ context.Context, arguments []string, out output) error {
	_, err := inspectSpool("spool status", arguments, out)
	return err
}

func verifySpool(_ context.Context, arguments []string, out output) error {
	report, err := inspectSpool("spool verify", arguments, out)
	if err == nil && !report.Sound() {
		return errSaid
	}
	return err
}

func inspectSpool(name string, arguments []string, out output) (report spool.Report, err error) {
	flags := flag.NewFlagSet(name, flag.ContinueOnError)
	format := flags.String("o", "text", "print the report as `text` or json")
	dir, err := parseSpool(flags, arguments, out)
	if err != nil {
		return report, err
	}
	if err := checkFormat(*format); err != nil {
		return report, err
	}
	if report, err = spool.Inspect(dir); err != nil {
		return report, err
	}
	return report, printReport(report, *format, out)
}

func repairSpool(_ context.Context, arguments []string, out output) error {
	dir, err := parseSpool(flag.NewFlagSet("spool repair", flag.ContinueOnError), arguments, out)
	if err != nil {
		return err
	}
	return spool.Repair(dir, out.stdout)
}

// salvageSpool leaves no file where there is nothing to salvage from.
func salvageSpool(_ context.Context, arguments []string, out output) error {
	flags := flag.NewFlagSet("spool salvage", flag.ContinueOnError)
	format := flags.String("o", "text", "print the report as `text` or json")
	to := flags.String("to", "", "write the records to this `file`, which must not be there yet")
	dir, err := parseSpool(flags, arguments, out)
	if err != nil {
		return err
	}
	if *to == "" {
		return usageError{errors.New("no file for the records: name one with --to")}
	}
	if err := checkFormat(*format); err != nil {
		return err
	}
	found, err := salvageInto(*to, dir)
	if err != nil {
		return err
	}
	return printReport(found, *format, out)
}

func salvageInto(path, dir string) (spool.Salvaged, error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return spool.Salvaged{}, fmt.Errorf("create the file for the records: %w", err)
	}
	w := bufio.NewWriter(file)
	found, err := spool.Salvage(dir, w)
	err = errors.Join(err, w.Flush(), file.Sync(), file.Close())
	if err == nil && found.Records > 0 {
		return found, durable.SyncDir(filepath.Dir(path))
	}
	return found, errors.Join(err, os.Remove(path))
}

// parseSpool reads the flags of a verb, which may stand before and behind its
// one argument, the directory.
func parseSpool(flags *flag.FlagSet, arguments []string, out output) (dir string, err error) {
	var dirs []string
	for {
		if err := parseFlags(flags, "[FLAGS] DIR", arguments, out); err != nil {
			return "", err
		}
		if flags.NArg() == 0 {
			break
		}
		dirs, arguments = append(dirs, flags.Arg(0)), flags.Args()[1:]
	}
	if len(dirs) != 1 {
		return "", usageError{fmt.Errorf("%d directories: name the one that holds the spool", len(dirs))}
	}
	return dirs[0], nil
}
