package main

import (
	"context"
	"errors"
	"flag"
	"strings"
	"time"

	"github.com/logpipeline/logpipeline/ingester"
	"github.com/logpipeline/logpipeline/ingester/config"
)

// check asks the brokers what the roles ask them first, from where it runs:
// "is it the network, the topic, or us?"
func check(ctx context.Context, arguments []string, out output) error {
	flags := flag.NewFlagSet("check", flag.ContinueOnError)
	file := flags.String("config", "", "read brokers and topic from this configuration `file`")
	servers := flags.String("bootstrap-servers", "", "ask these comma-separated `addresses` instead")
	topicName := flags.String("topic", "", "look for this `topic` instead")
	timeout := flags.Duration("timeout", 15*time.Second, "give up after this time")
	if err := parse(flags, arguments, out); err != nil {
		return err
	}
	cfg, err := config.ReadFile(*file, config.Default())
	if err != nil {
		return err
	}
	if *servers != "" {
		cfg.Kafka.BootstrapServers = strings.Split(*servers, ",")
	}
	if *topicName != "" {
		cfg.Topic = *topicName
	}
	if len(cfg.Kafka.BootstrapServers) == 0 {
		return usageError{errors.New("no brokers: give --config or --bootstrap-servers")}
	}
	ctx, cancel := context.WithTimeout(ctx, *timeout)
	defer cancel()
	return ingester.Check(ctx, cfg, out.stdout)
}
