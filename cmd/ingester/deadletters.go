package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/logpipeline/logpipeline/ingester/config"
	"github.com/logpipeline/logpipeline/ingester/deadletter"
	"github.com/logpipeline/logpipeline/ingester/kafka"
	"github.com/logpipeline/logpipeline/ingester/record"
)

var deadLetterVerbs = verbs{"dead-letters", `Dead letters are records that were not delivered and whose client could not be
told so any more. A client without a receipt had to send them again by itself.`, []command{
	{"list", "show them, the oldest first", listDeadLetters},
	{"replay", "put those back that certainly aren't in the topic and for which a client holds a receipt, or may hold one", replayDeadLetters},
}}

// deadLetters lists what could not be delivered, or puts it back.
func deadLetters(ctx context.Context, arguments []string, out output) error {
	return deadLetterVerbs.run(ctx, arguments, out)
}

// listDeadLetters prints the letters that are left, the oldest first. Where the
// topic can't be read it prints those of the folder, and fails. Without a
// configuration it would find the default's empty folder, and nothing amiss.
func listDeadLetters(ctx context.Context, arguments []string, out output) error {
	flags := flag.NewFlagSet("dead-letters list", flag.ContinueOnError)
	format := flags.String("o", "text", "print them as `text` or json")
	cfg, err := deadLetterConfig(flags, arguments, out)
	if err != nil {
		return err
	}
	if flags.Lookup("config").Value.String()+flags.Lookup("data-dir").Value.String() == "" {
		return usageError{errors.New("neither topic nor folder to look into: give --config, or --data-dir")}
	}
	if cfg.DeadLetter.Topic != "" && len(cfg.Kafka.BootstrapServers) == 0 {
		return usageError{errors.New("deadLetter.topic is set, but there are no brokers to ask for it: name them in kafka.bootstrapServers")}
	}
	if err := checkFormat(*format); err != nil {
		return err
	}
	client := deadLetterClient(cfg)
	defer client.Close()
	inventory, failed := deadletter.Scan(ctx, client, cfg.DeadLetter.Topic, cfg.DeadLetterDir())
	if *format == "json" {
		err = printJSON(out, inventory)
	} else {
		err = printLetters(out.stdout, inventory)
	}
	return errors.Join(failed, err)
}

func replayDeadLetters(ctx context.Context, arguments []string, out output) error {
	var replayer deadletter.Replayer
	flags := flag.NewFlagSet("dead-letters replay", flag.ContinueOnError)
	flags.BoolVar(&replayer.IncludeUnknown, "include-unknown", false, "also replay records that may be in the topic already")
	flags.BoolVar(&replayer.IncludeUnacknowledged, "include-unacknowledged", false, "also replay records for which no client holds a receipt, and which it may have sent again")
	flags.StringVar(&replayer.Batch, "batch", "", "replay the records of the batch with this `id` only")
	cfg, err := deadLetterConfig(flags, arguments, out)
	if err != nil {
		return err
	}
	if len(cfg.Kafka.BootstrapServers) == 0 || cfg.Topic == "" {
		return usageError{errors.New("no brokers or no topic: give --config, or the --data-dir of an ingester standalone that runs")}
	}
	if replayer.Key, err = record.KeyOf(cfg.Producer.KeyField); err != nil {
		return err
	}
	client := deadLetterClient(cfg)
	defer client.Close()
	replayer.Client = client
	replayer.Topic, replayer.DeadLetterTopic, replayer.Dir = cfg.Topic, cfg.DeadLetter.Topic, cfg.DeadLetterDir()
	result, err := replayer.Replay(ctx)
	printResult(out.stdout, result, cfg.Topic)
	if err == nil && result.Refused+result.Corrupt > 0 {
		err = errSaid
	}
	return err
}

// deadLetterConfig reads the configuration. Without brokers in it, it is that of
// a standalone, which says in its directory where its own can be reached.
func deadLetterConfig(flags *flag.FlagSet, arguments []string, out output) (config.Config, error) {
	file := flags.String("config", "", "read topics, brokers and folder from this configuration `file`")
	dir := flags.String("data-dir", "", "look into the `directory` of an ingester standalone")
	if err := parse(flags, arguments, out); err != nil {
		return config.Config{}, err
	}
	cfg, err := config.ReadFile(*file, config.Default())
	if err != nil {
		return cfg, err
	}
	if *dir != "" {
		if _, err := os.Stat(*dir); err != nil {
			return cfg, usageError{fmt.Errorf("--data-dir: %w", err)}
		}
		cfg.DataDir = *dir
	}
	if len(cfg.Kafka.BootstrapServers) == 0 {
		err = findEmbeddedKafka(&cfg)
	}
	return cfg, err
}

// findEmbeddedKafka leaves the configuration as it is where no standalone has
// been: its folder of dead letters can be listed nevertheless.
func findEmbeddedKafka(cfg *config.Config) error {
	address, err := os.ReadFile(cfg.EmbeddedKafkaFile())
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	cfg.Kafka.BootstrapServers = strings.Fields(string(address))
	if cfg.Topic == "" {
		cfg.Topic = config.DefaultFor(config.RoleStandalone).Topic
	}
	return err
}

// deadLetterClient knows both topics.
func deadLetterClient(cfg config.Config) *kafka.Client {
	topics := []string{cfg.Topic}
	if cfg.DeadLetter.Topic != "" {
		topics = append(topics, cfg.DeadLetter.Topic)
	}
	return kafka.New(cfg.Kafka, topics...)
}
