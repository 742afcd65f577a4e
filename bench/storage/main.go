// Command storage measures what it costs to bring a Kafka topic into NDJSON
// files: ours, which are sealed and fsynced, the design before it, and its
// peers, one after the other on the same topic of a real Kafka, with this
// machine to themselves. It prints a table, writes all figures to a JSON file,
// and fails when a goal is missed.
//
// A contender's CPU time is the user and system time of its process in
// /proc/PID/stat, from its start until the last record is in its output; the
// broker's does not count.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"regexp"
	"syscall"
	"time"

	"github.com/logpipeline/logpipeline/bench/broker"
	"github.com/logpipeline/logpipeline/bench/records"
	"github.com/logpipeline/logpipeline/bench/report"
)

const (
	partitions   = 4
	batchRecords = 1000 // of the topic's record batches
	seed         = 20260301
)

// bench is how a run is made.
type bench struct {
	binaries, scratch string
	kafka             string // address of a real Kafka
	records           int
	patience          time.Duration             // with a contender that stores nothing more
	topics            map[string]*broker.Broker // by codec
}

type options struct {
	bench
	json, only string
	quick      bool
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	err := run(ctx, parse())
	stop()
	if err != nil {
		fmt.Fprintf(os.Stderr, "storage: %v\n", err)
		os.Exit(1)
	}
}

func parse() options {
	var o options
	flag.StringVar(&o.binaries, "bin", ".build/bin", "`folder` of the built contenders")
	flag.StringVar(&o.kafka, "kafka", os.Getenv("KAFKA_BOOTSTRAP"), "`address` of a real Kafka")
	flag.StringVar(&o.json, "json", "", "write all figures to this `file`")
	flag.StringVar(&o.only, "only", "", "only contenders whose \"name topic-codec stored-codec\" matches this `regexp`")
	flag.IntVar(&o.records, "records", 5_000_000, "of a topic")
	flag.BoolVar(&o.quick, "quick", false, "a minute's look at 200,000 records and fewer contenders; goals are the counts alone")
	flag.DurationVar(&o.patience, "patience", 30*time.Second, "with a contender that stores nothing more")
	flag.Parse()
	if o.quick {
		o.records = 200_000
	}
	return o
}

func run(ctx context.Context, o options) (err error) {
	if o.kafka == "" {
		return errors.New("--kafka is empty: give the address of a running Kafka, or KAFKA_BOOTSTRAP")
	}
	chosen, err := o.choose()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, o.deleteTopics(context.WithoutCancel(ctx))) }()
	if err := o.fillTopics(ctx, chosen); err != nil {
		return err
	}
	if o.scratch, err = os.MkdirTemp("", "bench-storage-"); err != nil {
		return err
	}
	results, failures := o.measureAll(ctx, chosen)
	if err := errors.Join(printTable(os.Stdout, results), report.Write(o.json, results)); err != nil {
		return err
	}
	if !report.PrintGoals(os.Stdout, goals(results, o.quick)) {
		failures = append(failures, errors.New("a goal was missed"))
	}
	if err := errors.Join(failures...); err != nil {
		return fmt.Errorf("%w\n(logs are in %s)", err, o.scratch)
	}
	return os.RemoveAll(o.scratch)
}

func (o options) choose() (chosen []contender, err error) {
	only, err := regexp.Compile(o.only)
	if err != nil {
		return nil, fmt.Errorf("--only: %w", err)
	}
	for _, c := range contenders() {
		if only.MatchString(c.name+" "+c.topic+" "+c.stored) && (!o.quick || o.only != "" || c.inQuickLook()) {
			chosen = append(chosen, c)
		}
	}
	if len(chosen) == 0 {
		return nil, fmt.Errorf("--only %q matches no contender", o.only)
	}
	return chosen, nil
}

// fillTopics makes the topics that the contenders read.
func (b *bench) fillTopics(ctx context.Context, chosen []contender) error {
	b.topics = map[string]*broker.Broker{}
	for _, c := range chosen {
		if b.topics[c.topic] != nil {
			continue
		}
		fmt.Fprintf(os.Stderr, "filling a topic with %d records, codec %s\n", b.records, c.topic)
		name := fmt.Sprintf("bench-storage-%s-%d", c.topic, time.Now().UnixNano())
		topic, err := broker.UseRunning(ctx, b.kafka, name, partitions)
		if err != nil {
			return err
		}
		b.topics[c.topic] = topic
		fill := records.Topic{Brokers: b.kafka, Name: name, Partitions: partitions, Codec: c.topic, BatchRecords: batchRecords}
		if _, err := fill.Fill(ctx, seed, b.records); err != nil {
			return err
		}
	}
	return nil
}

func (b *bench) deleteTopics(ctx context.Context) (err error) {
	for _, topic := range b.topics {
		err = errors.Join(err, topic.Close(ctx))
	}
	return err
}

// measureAll goes on after a contender that can't be measured, which fails the
// run in the end.
func (b *bench) measureAll(ctx context.Context, chosen []contender) (results []Result, failures []error) {
	for _, c := range chosen {
		fmt.Fprintf(os.Stderr, "%s, topic %s, stored %s\n", c.name, c.topic, c.stored)
		r, err := b.measure(ctx, c)
		if ctx.Err() != nil {
			return results, append(failures, ctx.Err())
		}
		if err != nil {
			failures = append(failures, fmt.Errorf("%s, topic %s, stored %s: %w", c.name, c.topic, c.stored, err))
			continue
		}
		results = append(results, r)
	}
	return results, failures
}
