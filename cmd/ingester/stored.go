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

// verify proves the stored segments complete, or fails and says what is wrong.
func verify(ctx context.Context, arguments []string, out output) error {
	flags := flag.NewFlagSet("verify", flag.ContinueOnError)
	dataDir := flags.String("data-dir", config.Default().DataDir, "the `directory` that holds chain and segments")
	format := flags.String("o", "text", "print the report as `text` or json")
	if err := parse(flags, arguments, out); err != nil {
		return err
	}
	if *format != "text" && *format != "json" {
		return usageError{fmt.Errorf("-o is %q: choose text or json", *format)}
	}
	report, err := segment.Verify(ctx, *dataDir)
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
	dataDir := flags.String("data-dir", config.Default().DataDir, "the `directory` that holds chain and segments")
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
		if topics, err = segment.Topics(*dataDir); err != nil {
			return err
		}
	}
	p := printer{out: out, names: *names, limit: *limit}
	for _, name := range topics {
		if err := p.print(segment.Records(ctx, *dataDir, name, int32(*partition))); err != nil {
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
