// Command consumers is what LogPipeline's consumer is measured against: a small
// faithful version of the design that was reviewed before it, and the plain way
// to do it in Go. Each reads a topic from its beginning into one NDJSON file.
// They are built from the description alone; what that leaves open is chosen in
// their favour.
//
//	consumers reviewed  ten consumers; each record is persisted by itself:
//	                    open, append, close
//	consumers reader    one kafka-go Reader, into a buffered file
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/segmentio/kafka-go"
)

type settings struct {
	brokers, topic, group, file string
}

// A design consumes until ctx ends, or with an error.
type design func(ctx context.Context, s settings) error

var designs = map[string]design{"reviewed": consumeReviewed, "reader": consumeBuffered}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintf(os.Stderr, "consumers: %v\n", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, arguments []string) error {
	if len(arguments) == 0 || designs[arguments[0]] == nil {
		return errors.New("name a design: reviewed or reader")
	}
	var s settings
	flags := flag.NewFlagSet(arguments[0], flag.ContinueOnError)
	flags.StringVar(&s.brokers, "brokers", "127.0.0.1:9092", "bootstrap `addresses` of Kafka, separated by commas")
	flags.StringVar(&s.topic, "topic", "logs", "read this `topic`")
	flags.StringVar(&s.group, "group", "consumers", "as a member of this `group`")
	flags.StringVar(&s.file, "file", "logs.ndjson", "append to this `file`")
	if err := flags.Parse(arguments[1:]); err != nil {
		return err
	}
	if err := designs[arguments[0]](ctx, s); ctx.Err() == nil {
		return err
	}
	return nil // it was asked to end
}

func newReader(s settings) *kafka.Reader {
	return kafka.NewReader(kafka.ReaderConfig{
		Brokers: strings.Split(s.brokers, ","), Topic: s.topic, GroupID: s.group,
		StartOffset: kafka.FirstOffset, MaxBytes: 10e6, MaxWait: 500 * time.Millisecond, JoinGroupBackoff: time.Second,
	})
}
