package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"

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
	topic := flags.String("topic", "", "print records of this `topic` only")
	partition := flags.Int("partition", -1, "print records of this partition only; -1 prints all, one after the other")
	limit := flags.Int64("limit", 0, "stop after so many records; 0 prints all")
	names := flags.Bool("names", false, "print the name of a segment before its records")
	if err := parse(flags, arguments, out); err != nil {
		return err
	}
	var printed int64
	var file string
	for line, err := range segment.Records(ctx, *dataDir, *topic, int32(*partition)) {
		if err != nil {
			return err
		}
		if *names && line.File != file {
			file = line.File
			fmt.Fprintf(out.stdout, "==> %s\n", file)
		}
		if _, err := out.stdout.Write(line.Bytes); err != nil {
			return err
		}
		if printed++; printed == *limit {
			break
		}
	}
	return nil
}
