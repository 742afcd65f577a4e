// Command intake measures what it costs to take log records by HTTP and put
// them into Kafka: ours, the designs before it, and its peers, one after the
// other under the same load on this machine. It prints a table for each
// scenario and writes all figures to a JSON file.
//
// A contender's CPU time is the user and system time of its process in
// /proc/PID/stat; neither the load's nor the broker's counts.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"syscall"
	"time"

	"github.com/logpipeline/logpipeline/bench/broker"
	"github.com/logpipeline/logpipeline/bench/report"
)

const (
	recordsPerRequest = 100
	partitions        = 4
	seed              = 20260301
)

// bench is how a run is made.
type bench struct {
	binaries, scratch string
	kafka             string // address of a real Kafka, if there is one
	profile           string // file for a CPU profile of ours
	warmUp, duration  time.Duration
	drain             time.Duration // for what was acknowledged early
	maxResident       int64         // bytes
}

type options struct {
	bench
	json, contenders, scenarios string
	quick, check                bool
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	err := run(ctx, parse())
	stop()
	if err != nil {
		fmt.Fprintf(os.Stderr, "intake: %v\n", err)
		os.Exit(1)
	}
}

func parse() options {
	var o options
	flag.StringVar(&o.binaries, "bin", ".build/bin", "`folder` of the built contenders")
	flag.StringVar(&o.kafka, "kafka", os.Getenv("KAFKA_BOOTSTRAP"), "`address` of a real Kafka, for scenarios of its own")
	flag.StringVar(&o.json, "json", "", "write all figures to this `file`")
	flag.StringVar(&o.profile, "profile", "", "write a CPU profile of ours to this `file`; choose one contender and scenario")
	flag.StringVar(&o.contenders, "contenders", "", "only those whose \"name codec\" matches this `regexp`")
	flag.StringVar(&o.scenarios, "scenarios", "", "only those whose name matches this `regexp`")
	flag.BoolVar(&o.quick, "quick", false, "a minute's look: fewer contenders and scenarios, short")
	flag.BoolVar(&o.check, "check", false, "fail when a goal is missed")
	flag.DurationVar(&o.warmUp, "warm-up", 2*time.Second, "load before it is measured")
	flag.DurationVar(&o.duration, "duration", 10*time.Second, "of the measured load")
	flag.DurationVar(&o.drain, "drain", time.Minute, "wait so long for what was acknowledged before it was in Kafka")
	flag.Int64Var(&o.maxResident, "max-resident", 4<<30, "stop the load of a contender that grows beyond so many `bytes`")
	flag.Parse()
	if o.quick {
		o.warmUp, o.duration, o.drain = time.Second, 2*time.Second, 5*time.Second
	}
	return o
}

func run(ctx context.Context, o options) error {
	scratch, err := os.MkdirTemp("", "bench-intake-")
	if err != nil {
		return err
	}
	o.scratch = scratch
	results, failures := o.measureAll(ctx)
	if err := errors.Join(printTables(os.Stdout, results), report.Write(o.json, results)); err != nil {
		return err
	}
	if reached := report.PrintGoals(os.Stdout, goals(results)); o.check && !reached {
		failures = append(failures, errors.New("a goal was missed"))
	}
	if err := errors.Join(failures...); err != nil {
		return err // the logs stay
	}
	return os.RemoveAll(scratch)
}

// measureAll goes on after a contender that can't be measured.
func (o options) measureAll(ctx context.Context) (results []Result, failures []error) {
	chosen, err := o.choose()
	if err != nil {
		return nil, []error{err}
	}
	for _, p := range chosen {
		fmt.Fprintf(os.Stderr, "%s, %s, %s\n", p.contender.name, p.contender.codec, p.scenario.name)
		r, err := o.measure(ctx, p.contender, p.scenario)
		if ctx.Err() != nil {
			return results, append(failures, ctx.Err())
		}
		if err != nil {
			failures = append(failures, fmt.Errorf("%s, %s, %s: %w", p.contender.name, p.contender.codec, p.scenario.name, err))
			continue
		}
		results = append(results, r)
	}
	return results, failures
}

// pair is one measurement to make.
type pair struct {
	contender contender
	scenario  scenario
}

func (o options) choose() ([]pair, error) {
	names, err := regexp.Compile(o.contenders)
	if err != nil {
		return nil, fmt.Errorf("--contenders: %w", err)
	}
	kinds, err := regexp.Compile(o.scenarios)
	if err != nil {
		return nil, fmt.Errorf("--scenarios: %w", err)
	}
	var chosen []pair
	for _, s := range scenarios(o.quick, o.kafka != "") {
		for _, c := range contenders() {
			quick := !o.quick || o.contenders != "" || c.inQuickLook()
			if quick && s.takesPart(c) && names.MatchString(c.name+" "+c.codec) && kinds.MatchString(s.name) {
				chosen = append(chosen, pair{c, s})
			}
		}
	}
	return chosen, nil
}

func (b *bench) startDiscarding(ctx context.Context) (*broker.Broker, error) {
	return broker.StartDiscarding(ctx, filepath.Join(b.binaries, "discard"), filepath.Join(b.scratch, "discard.log"), partitions)
}

// write writes the JSON file, if one is asked for.
