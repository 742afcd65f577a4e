// Command backlog checks two bounds of a consumer that has much behind or
// before it, on a real Kafka, and fails when one is broken:
//
//   - restart: with 100,000 sealed segments in its store, a consumer that is
//     started again has fetched and stored new records within 2 seconds,
//   - memory: with a backlog in each of 100 partitions, its resident memory
//     stays within consumer.fetchMaxTotalBytes and 64 MiB.
//
// Both end with the proof that everything is stored.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// options are what a run is made of. Sizes are in bytes.
type options struct {
	binaries string
	kafka    string // address of a real Kafka
	only     string // restart or memory
	patience time.Duration

	segments int           // that are there at the restart
	within   time.Duration // from the start of the process to new records stored

	partitions int
	records    int // of the backlog
	slackBytes int64
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	err := run(ctx, parse())
	stop()
	if err != nil {
		fmt.Fprintf(os.Stderr, "backlog: %v\n", err)
		os.Exit(1)
	}
}

func parse() options {
	var o options
	flag.StringVar(&o.binaries, "bin", ".build/bin", "`folder` of the ingester")
	flag.StringVar(&o.kafka, "kafka", os.Getenv("KAFKA_BOOTSTRAP"), "`address` of a real Kafka")
	flag.StringVar(&o.only, "only", "", "restart or memory")
	flag.DurationVar(&o.patience, "patience", 10*time.Minute, "with a consumer that is not done")
	flag.IntVar(&o.segments, "segments", 100_000, "that are sealed before the restart")
	flag.DurationVar(&o.within, "within", 2*time.Second, "the restart has to store new records")
	flag.IntVar(&o.partitions, "partitions", 100, "that have a backlog")
	flag.IntVar(&o.records, "records", 5_000_000, "of the backlog, of about 255 bytes")
	flag.Int64Var(&o.slackBytes, "slack", 64<<20, "`bytes` that resident memory may be above consumer.fetchMaxTotalBytes")
	quick := flag.Bool("quick", false, "half a minute's look: 2,000 segments, 1,000,000 records")
	flag.Parse()
	if *quick {
		o.segments, o.records = 2_000, 1_000_000
	}
	return o
}

func run(ctx context.Context, o options) error {
	if o.kafka == "" {
		return errors.New("--kafka is empty: give the address of a running Kafka, or KAFKA_BOOTSTRAP")
	}
	if o.only != "" && o.only != "restart" && o.only != "memory" {
		return fmt.Errorf("--only is %q: choose restart or memory", o.only)
	}
	var failures []error
	if o.only != "memory" {
		failures = append(failures, o.restart(ctx))
	}
	if o.only != "restart" {
		for _, topic := range []struct {
			codec        string
			batchRecords int
		}{
			{"none", 1000},
			{"lz4", 1000},
			{"zstd", 25_000}, // 6 MB of lines each
		} {
			failures = append(failures, o.memory(ctx, topic.codec, topic.batchRecords))
		}
	}
	return errors.Join(failures...)
}
