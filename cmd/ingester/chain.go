package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"

	"github.com/logpipeline/logpipeline/ingester/config"
	"github.com/logpipeline/logpipeline/ingester/kafka"
	"github.com/logpipeline/logpipeline/ingester/segment"
)

// chain looks at chains, or takes one over a gap.
var chain = verbs{"chain", "A chain is what a partition's stored segments are linked to.", []command{
	{"show", "print where chains begin and end, and what waits beside them", showChains},
	{"resume", "let a partition go on whose next records are lost, by recording a gap", resumeChain},
}}

func showChains(ctx context.Context, arguments []string, out output) error {
	flags := flag.NewFlagSet("chain show", flag.ContinueOnError)
	location := locationFlags(flags)
	topic := flags.String("topic", "", "show the chains of this `topic` only")
	partition := flags.Int("partition", -1, "show the chains of this partition only; -1 shows all")
	format := flags.String("o", "text", "print them as `text` or json")
	if err := parse(flags, arguments, out); err != nil {
		return err
	}
	if err := checkFormat(*format); err != nil {
		return err
	}
	if err := checkStored(ctx, location(), *topic); err != nil {
		return err
	}
	states, err := segment.Show(ctx, location(), *topic, int32(*partition))
	if err != nil {
		return err
	}
	if *format == "json" {
		return printJSON(out, states)
	}
	for _, state := range states {
		if err := state.WriteText(out.stdout); err != nil {
			return err
		}
	}
	return nil
}

func resumeChain(ctx context.Context, arguments []string, out output) error {
	flags := flag.NewFlagSet("chain resume", flag.ContinueOnError)
	file := flags.String("config", "", "read brokers, topic and store from this configuration `file`")
	location := storeFlags(flags)
	topic := flags.String("topic", "", "the `topic`, if not the configuration's")
	partition := flags.Int("partition", -1, "the partition")
	recordGap := flags.Bool("record-gap", false, "record a gap: the records up to the offset will never be stored in this chain")
	to := flags.Int64("to", -1, "the `offset` from which on records are stored; without it, where Kafka's log begins")
	reason := flags.String("reason", "", "say in the link `why`; verify shows it")
	force := flags.Bool("force", false, "record the gap although Kafka has records of it")
	if err := parse(flags, arguments, out); err != nil {
		return err
	}
	cfg, err := config.ReadFile(*file, config.Default())
	if err != nil {
		return err
	}
	if *topic != "" {
		cfg.Topic = *topic
	}
	switch {
	case !*recordGap:
		return usageError{errors.New("--record-gap is missing: it is what lets the partition go on, and what verify will show from then on")}
	case cfg.Topic == "" || *partition < 0:
		return usageError{errors.New("no topic or no partition: give --topic or --config, and --partition")}
	case *to < 0 && len(cfg.Kafka.BootstrapServers) == 0:
		return usageError{errors.New("no offset: give --to, or a --config with brokers, whose log tells where it begins")}
	}
	g := gapPlan{cfg: cfg, partition: int32(*partition), to: *to, reason: *reason, force: *force}
	if err := g.askKafka(ctx); err != nil {
		return err
	}
	logger := slog.New(slog.NewTextHandler(out.stderr, nil))
	gap, err := segment.Resume(ctx, location(cfg), cfg.Topic, g.partition, g.why(), g.upTo, logger)
	if err != nil {
		return err
	}
	fmt.Fprintf(out.stdout, "%s/%d: recorded that offsets %d to %d are not stored; the chain goes on at offset %d\n", cfg.Topic, g.partition, gap.FirstOffset, gap.NextOffset-1, gap.NextOffset)
	return nil
}

// gapPlan decides how far a gap goes, and whether it may.
type gapPlan struct {
	cfg       config.Config
	partition int32
	to        int64 // -1 means where the log begins
	reason    string
	force     bool
	// known is true when Kafka was asked; then these are its answers.
	known      bool
	topicID    string
	start, end int64
}

func (g *gapPlan) askKafka(ctx context.Context) error {
	if len(g.cfg.Kafka.BootstrapServers) == 0 {
		return nil
	}
	client := kafka.New(g.cfg.Kafka, g.cfg.Topic)
	defer client.Close()
	topic, err := client.Topic(ctx, g.cfg.Topic)
	if err != nil {
		return err
	}
	g.known, g.topicID = true, topic.ID
	g.start, g.end, err = client.Offsets(ctx, g.cfg.Topic, g.partition)
	return err
}

// upTo is where a gap ends that begins at a chain's end.
func (g *gapPlan) upTo(topicID string, chainEnd int64) (int64, error) {
	to := g.to
	if to < 0 {
		to = g.start
	}
	present := max(g.start, chainEnd) // the first that Kafka has of the gap
	switch {
	case g.known && g.topicID != topicID:
		return 0, fmt.Errorf("the topic has the id %s by now, and the chain is of %s: a gap does not help, the offsets are others; use another data directory", g.topicID, topicID)
	case to <= chainEnd && g.to < 0:
		return 0, fmt.Errorf("nothing is lost: the chain ends before offset %d, and Kafka's log begins at offset %d", chainEnd, g.start)
	case to <= chainEnd:
		return 0, fmt.Errorf("--to is %d, but the chain ends before offset %d: there is no gap to record", to, chainEnd)
	case g.known && to > g.end:
		return 0, fmt.Errorf("--to is %d, but Kafka's log ends before offset %d", to, g.end)
	case g.known && to > present && !g.force:
		return 0, fmt.Errorf("kafka still has the offsets %d to %d of that gap: --force gives them up", present, to-1)
	}
	return to, nil
}

func (g *gapPlan) why() string {
	switch {
	case g.reason != "":
		return g.reason
	case g.known:
		return fmt.Sprintf("recorded by hand while Kafka's log began at offset %d", g.start)
	default:
		return "recorded by hand"
	}
}
