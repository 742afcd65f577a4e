// Command ingester is the data path of LogPipeline in one binary, one
// subcommand per role.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/logpipeline/logpipeline/ingester/config"
)

// version is set by the linker.
var version = "dev"

// A command parses its arguments and does its work until that is done or the
// context ends.
type command struct {
	name, summary string
	run           func(ctx context.Context, arguments []string, out output) error
}

type output struct{ stdout, stderr io.Writer }

var commands = []command{
	{"serve", "take records by HTTP and deliver them to Kafka", role(config.RoleServe)},
	{"consume", "store a topic's records as NDJSON segments", role(config.RoleConsume)},
	{"standalone", "both in one process, with an embedded Kafka", role(config.RoleStandalone)},
	{"direct", "take records and store them as NDJSON segments, without Kafka", role(config.RoleDirect)},
	{"verify", "prove that the stored segments are complete", verify},
	{"cat", "print stored records in the order of their offsets", cat},
	{"aggregate", "count the stored records by time and fields", aggregateCommand(openArchived)},
	{"chain", "show the chains of stored segments, or record a gap in one", chain.run},
	{"restore", "fetch a range from Kafka again, outside the chains", restore},
	{"dead-letters", "list what could not be delivered, or replay it", deadLetters},
	{"spool", "look into a spool, or repair it", spoolVerbs.run},
	{"check", "ask the brokers for what the roles need of them", check},
	{"version", "print the version", printVersion},
}

// errSaid fails a command that has already printed why.
var errSaid = errors.New("failed")

// usageError is a mistake in how the command was called.
type usageError struct{ error }

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	os.Exit(run(ctx, os.Args[1:], output{os.Stdout, os.Stderr}))
}

// run returns the exit code: 0 done, 1 failed, 2 called wrongly.
func run(ctx context.Context, arguments []string, out output) int {
	if len(arguments) == 0 {
		printUsage(out.stderr)
		return 2
	}
	switch name := arguments[0]; {
	case name == "help" && len(arguments) > 1:
		arguments = []string{arguments[1], "--help"}
	case name == "help", name == "-h", name == "--help":
		printUsage(out.stdout)
		return 0
	case name == "--version":
		arguments = []string{"version"}
	}
	for _, c := range commands {
		if c.name == arguments[0] {
			return exitCode(c.name, c.run(ctx, arguments[1:], out), out)
		}
	}
	fmt.Fprintf(out.stderr, "ingester: there is no command %q\n\n", arguments[0])
	printUsage(out.stderr)
	return 2
}

func exitCode(name string, err error, out output) int {
	var usage usageError
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
		return 0
	case errors.As(err, &usage):
		fmt.Fprintf(out.stderr, "ingester %s: %v (see ingester %s --help)\n", name, err, name)
		return 2
	case errors.Is(err, errSaid):
		return 1
	default:
		fmt.Fprintf(out.stderr, "ingester %s: %v\n", name, err)
		return 1
	}
}

func printUsage(w io.Writer) {
	fmt.Fprint(w, "ingester is the data path of LogPipeline.\n\nUsage: ingester COMMAND [FLAGS]\n\n")
	for _, c := range commands {
		fmt.Fprintf(w, "  %-14s%s\n", c.name, c.summary)
	}
	fmt.Fprint(w, "\ningester COMMAND --help lists the flags of a command.\n")
}

// parse reads the flags of a command that takes no further arguments.
func parse(flags *flag.FlagSet, arguments []string, out output) error {
	if err := parseFlags(flags, "[FLAGS]", arguments, out); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return usageError{fmt.Errorf("unexpected argument %q", flags.Arg(0))}
	}
	return nil
}

// parseFlags reads flags up to the first argument that is none.
func parseFlags(flags *flag.FlagSet, usage string, arguments []string, out output) error {
	flags.SetOutput(io.Discard)
	err := flags.Parse(arguments)
	if errors.Is(err, flag.ErrHelp) {
		flags.SetOutput(out.stdout)
		fmt.Fprintf(out.stdout, "Usage: ingester %s %s\n", flags.Name(), usage)
		flags.PrintDefaults()
		return err
	}
	if err != nil {
		return usageError{err}
	}
	return nil
}

func printVersion(_ context.Context, arguments []string, out output) error {
	if err := parse(flag.NewFlagSet("version", flag.ContinueOnError), arguments, out); err != nil {
		return err
	}
	_, err := fmt.Fprintln(out.stdout, version)
	return err
}
