package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"iter"

	"github.com/logpipeline/logpipeline/ingester/config"
	"github.com/logpipeline/logpipeline/ingester/segment"
)

// locationFlags defines the flags that name a store, and returns what they
// name once they are parsed.
func locationFlags(flags *flag.FlagSet) (location func() string) {
	dataDir := flags.String("data-dir", config.Default().DataDir, "the `directory` that holds chain and segments")
	objectStore := flags.String("object-store", "", "the `URL` of the object store that holds them instead, such as s3://bucket/prefix?region=eu-central-1")
	return func() string {
		if *objectStore != "" {
			return *objectStore
		}
		return *dataDir
	}
}

// verify proves the stored segments complete, or fails and says what is wrong.
func verify(ctx context.Context, arguments []string, out output) error {
	flags := flag.NewFlagSet("verify", flag.ContinueOnError)
	location := locationFlags(flags)
	format := flags.String("o", "text", "print the report as `text` or json")
	if err := parse(flags, arguments, out); err != nil {
		return err
	}
	if *format != "text" && *format != "json" {
		return usageError{fmt.Errorf("-o is %q: choose text or json", *format)}
	}
	report, err := segment.Verify(ctx, location())
	if err != nil {
		return err
	}
	if *format == "json" {
		encoder := json.NewEncoder(out.stdout)
		encoder.SetIndent("", "  ")
		err = encoder.Encode(report)
	} else {
		err = report.WriteText(out.stdout)
	}
	if err == nil && !report.Complete {
		err = errSaid
	}
	return err
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
