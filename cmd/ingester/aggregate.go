package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"time"

	"github.com/logpipeline/logpipeline/ingester/aggregate"
	"github.com/logpipeline/logpipeline/ingester/config"
)

// aggregateStore is where aggregateCommand finds segments and roll-ups, and
// keeps those that it counts.
type aggregateStore interface {
	aggregate.Rollups
	aggregate.Records
	aggregate.Writer
	Close()
}

// aggregateCommand answers from the roll-ups beside the stored segments, and
// counts those segments that have none for the configuration. It may run
// beside living consumers.
func aggregateCommand(open func(ctx context.Context, location string) (aggregateStore, error)) func(context.Context, []string, output) error {
	return func(ctx context.Context, arguments []string, out output) error {
		a, err := parseAggregation(arguments, out)
		if err != nil {
			return err
		}
		if err := checkStored(ctx, a.location, a.config.Topic); err != nil {
			return err
		}
		store, err := open(ctx, a.location)
		if err != nil {
			return err
		}
		defer store.Close()
		report, err := a.run(ctx, store)
		var query *aggregate.QueryError
		if errors.As(err, &query) {
			return usageError{fmt.Errorf("--%w", query)}
		}
		if err != nil {
			return err
		}
		return printReport(report, a.format, out)
	}
}

// aggregation is what the flags of aggregateCommand ask for.
type aggregation struct {
	location string
	config   config.Config
	query    aggregate.Query
	format   string
	write    bool
}

func parseAggregation(arguments []string, out output) (aggregation, error) {
	flags := flag.NewFlagSet("aggregate", flag.ContinueOnError)
	a := aggregation{query: aggregate.Query{From: time.Unix(0, 0), To: time.Now()}}
	file := flags.String("config", "", "read topic, store and aggregation from this YAML `file` of a consumer; flags go over it")
	located := locationFlags(flags)
	override := a.overrides(flags)
	a.queryFlags(flags)
	flags.StringVar(&a.format, "o", "text", "print `text` or json")
	flags.BoolVar(&a.write, "write", false, "keep the roll-ups that had to be counted, for GET /aggregates and the next call")
	err := parse(flags, arguments, out)
	if err == nil {
		err = checkFormat(a.format)
	}
	if err != nil {
		return a, err
	}
	if a.config, err = config.ReadFile(*file, config.Default()); err != nil {
		return a, err
	}
	override(&a.config)
	a.location = located()
	if !isGiven(flags, "data-dir") && !isGiven(flags, "object-store") {
		a.location = a.config.DataDir
		if a.config.ObjectStore.URL != "" {
			a.location = a.config.ObjectStore.URL
		}
	}
	return a, a.check()
}

// overrides defines the flags for parts of a configuration, which is theirs to
// change once they are parsed.
func (a *aggregation) overrides(flags *flag.FlagSet) func(*config.Config) {
	var given []func(*config.Config)
	define := func(name, usage string, set func(c *config.Config, value string)) {
		flags.Func(name, usage, func(value string) error {
			given = append(given, func(c *config.Config) { set(c, value) })
			return nil
		})
	}
	define("topic", "aggregate this `topic`", func(c *config.Config, value string) { c.Topic = value })
	define("group-by", "group by these `fields`, a comma between two, as aggregation.groupBy does", func(c *config.Config, value string) {
		c.Aggregation.GroupBy = aggregate.ParseFields(value)
	})
	define("numeric", "sum up the numbers of these `fields`, as aggregation.numeric does", func(c *config.Config, value string) {
		c.Aggregation.Numeric = aggregate.ParseFields(value)
	})
	flags.Func("window", "the `time` of a window in whole seconds, such as 1m, as aggregation.windowSeconds has it", func(value string) error {
		window, err := aggregate.ParseStep(value)
		given = append(given, func(c *config.Config) { c.Aggregation.WindowSeconds = int(window / time.Second) })
		if err == nil && window%time.Second != 0 {
			err = errors.New("write whole seconds")
		}
		return err
	})
	return func(c *config.Config) {
		for _, apply := range given {
			apply(c)
		}
	}
}

func (a *aggregation) queryFlags(flags *flag.FlagSet) {
	flags.Func("from", "begin with windows of this `time`, in RFC 3339 or seconds since 1970 (default 1970)", func(value string) (err error) {
		a.query.From, err = aggregate.ParseTime("from", value)
		return err
	})
	flags.Func("to", "end before windows of this `time` (default now)", func(value string) (err error) {
		a.query.To, err = aggregate.ParseTime("to", value)
		return err
	})
	flags.Func("by", "show these `fields` of --group-by only; empty for none (default all)", func(value string) error {
		a.query.By = aggregate.ParseFields(value)
		return nil
	})
	flags.Func("step", "the `time` that a row stands for, such as 5m, or all (default all)", func(value string) (err error) {
		a.query.Step, err = aggregate.ParseStep(value)
		return err
	})
}

func isGiven(flags *flag.FlagSet, name string) (given bool) {
	flags.Visit(func(f *flag.Flag) { given = given || f.Name == name })
	return given
}

func (a *aggregation) check() error {
	switch cfg := a.config.Aggregation; {
	case a.config.Topic == "":
		return usageError{errors.New("there is no topic: give --config or --topic")}
	case !cfg.Enabled():
		return usageError{errors.New("there is nothing to aggregate: give the --config of a consumer that aggregates, or --group-by or --numeric")}
	default:
		return cfg.Validate()
	}
}

func (a *aggregation) run(ctx context.Context, store aggregateStore) (aggregate.Report, error) {
	plan, err := aggregate.NewPlan(a.config.Aggregation)
	if err != nil {
		return aggregate.Report{}, err
	}
	count := func(ctx context.Context, of aggregate.Source, _ error) (*aggregate.Rollup, error) {
		r, err := plan.Count(ctx, store, of)
		if err == nil && a.write {
			err = store.WriteRollup(ctx, plan.Name(of), r.Encode(of))
		}
		return r, err
	}
	answer, coverage, err := plan.Gather(ctx, store, a.config.Topic, a.query, count)
	if err != nil {
		return aggregate.Report{}, err
	}
	return answer.Report(coverage), nil
}
