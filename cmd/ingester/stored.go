package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"iter"
	"time"

	"github.com/logpipeline/logpipeline/ingester/segment"
)

// verify proves the stored segments complete, or fails and says what is wrong.
func verify(ctx context.Context, arguments []string, out output) error {
	flags := flag.NewFlagSet("verify", flag.ContinueOnError)
	location := locationFlags(flags)
	format := flags.String("o", "text", "print the report as `text` or json")
	var verification segment.Verification
	timeFlag(flags, &verification.From, "from", "read the data of segments with records from this `time` on, such as 2026-11-23 or 2026-11-23T12:00:00Z; all links are checked")
	timeFlag(flags, &verification.To, "to", "read the data of segments with records before this `time`")
	flags.BoolVar(&verification.NoGaps, "no-gaps", false, "fail on recorded gaps too")
	flags.BoolVar(&verification.FixOrphans, "fix-orphans", false, "remove the files under segments/ that no link can ever name")
	if err := parse(flags, arguments, out); err != nil {
		return err
	}
	if err := checkFormat(*format); err != nil {
		return err
	}
	from, to := verification.From, verification.To
	switch {
	case !from.IsZero() && !to.IsZero() && !from.Before(to):
		return usageError{fmt.Errorf("--from %s is not before --to %s", from.Format(time.RFC3339), to.Format(time.RFC3339))}
	case verification.FixOrphans && (!from.IsZero() || !to.IsZero()):
		return usageError{errors.New("--fix-orphans goes by all data: leave --from and --to out")}
	}
	report, err := verification.Run(ctx, location())
	if err != nil {
		return err
	}
	if err := printReport(report, *format, out); err != nil {
		return err
	}
	if !report.Complete {
		return errSaid
	}
	return nil
}

// timeFlag defines a flag for a point in time; a date is its first moment, UTC.
func timeFlag(flags *flag.FlagSet, into *time.Time, name, usage string) {
	flags.Func(name, usage, func(value string) (err error) {
		for _, layout := range []string{time.RFC3339, time.DateOnly} {
			if *into, err = time.Parse(layout, value); err == nil {
				return nil
			}
		}
		return errors.New("give a date, or a time as in 2026-11-23T12:00:00Z")
	})
}

// cat prints stored records: the image has no shell and no other way to look.
func cat(ctx context.Context, arguments []string, out output) error {
	flags := flag.NewFlagSet("cat", flag.ContinueOnError)
	location := locationFlags(flags)
	topic := flags.String("topic", "", "print records of this `topic` only; otherwise of all")
	partition := flags.Int("partition", -1, "print records of this partition only; -1 prints all, one after the other")
	limit := flags.Int64("limit", 0, "stop after so many records; 0 prints all")
	names := flags.Bool("names", false, "print the name of a segment before its records")
	if err := parse(flags, arguments, out); err != nil {
		return err
	}
	if *limit < 0 {
		return usageError{fmt.Errorf("--limit is %d: choose 0 for all, or a number of records", *limit)}
	}
	if err := checkStored(ctx, location(), *topic); err != nil {
		return err
	}
	topics := []string{*topic}
	if *topic == "" {
		var err error
		if topics, err = segment.Topics(ctx, location()); err != nil {
			return err
		}
	}
	p := printer{out: out, names: *names, limit: *limit}
	for _, name := range topics {
		if err := p.print(segment.Records(ctx, location(), name, int32(*partition))); err != nil {
			return err
		}
	}
	return nil
}

// printer prints records up to a limit, 0 for none.
type printer struct {
	out     output
	names   bool
	limit   int64
	printed int64
	file    string // of the record before
}

func (p *printer) print(records iter.Seq2[segment.Line, error]) error {
	for line, err := range records {
		if err != nil {
			return err
		}
		if p.limit > 0 && p.printed == p.limit {
			return nil
		}
		if p.names && line.File != p.file {
			p.file = line.File
			fmt.Fprintf(p.out.stdout, "==> %s\n", p.file)
		}
		if _, err := p.out.stdout.Write(line.Bytes); err != nil {
			return err
		}
		p.printed++
	}
	return nil
}
