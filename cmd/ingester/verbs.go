package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"
)

// verbs are the parts of a command whose first argument chooses one.
type verbs struct {
	command, about string
	list           []command
}

func (v verbs) run(ctx context.Context, arguments []string, out output) error {
	if len(arguments) == 0 {
		return usageError{errors.New(v.choose())}
	}
	if slices.Contains([]string{"-h", "--help", "-help"}, arguments[0]) {
		v.printUsage(out.stdout)
		return flag.ErrHelp
	}
	for _, verb := range v.list {
		if verb.name == arguments[0] {
			return verb.run(ctx, arguments[1:], out)
		}
	}
	return usageError{fmt.Errorf("there is no %q: %s", arguments[0], v.choose())}
}

func (v verbs) choose() string {
	names := make([]string, len(v.list))
	for i, verb := range v.list {
		names[i] = verb.name
	}
	return "choose " + strings.Join(names, " or ")
}

func (v verbs) printUsage(w io.Writer) {
	fmt.Fprintf(w, "Usage: ingester %s VERB [FLAGS]\n\n%s\n\n", v.command, v.about)
	for _, verb := range v.list {
		fmt.Fprintf(w, "  %-9s%s\n", verb.name, verb.summary)
	}
	fmt.Fprintf(w, "\ningester %s VERB --help lists the flags of a verb.\n", v.command)
}
