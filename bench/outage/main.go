// Command outage proves that the ingester's memory stays within its bound while
// Kafka is away under full load, and that it takes and delivers records again
// afterwards. It starts a discarding broker and the ingester, loads it all the
// time, stops the broker for a while, and fails when
//
//   - resident memory was ever above queue.maxBytes and 64 MiB,
//   - the ingester ended, or acknowledged nothing after the outage,
//   - Kafka has less than what was acknowledged as produced.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// options are what a run is made of. Sizes are in bytes.
type options struct {
	binaries          string
	acknowledge       string
	kill              bool
	healthy, away     time.Duration
	patience          time.Duration
	connections       int
	recordsPerRequest int
	queueMaxBytes     int64
	slackBytes        int64
}

func main() {
	var o options
	flag.StringVar(&o.binaries, "bin", ".build/bin", "`folder` of ingester and discard")
	flag.StringVar(&o.acknowledge, "acknowledge", "Produced", "Produced or Queued")
	flag.BoolVar(&o.kill, "kill", false, "kill the broker, so that connections are refused, and start another, instead of having it hang")
	flag.DurationVar(&o.healthy, "healthy", 3*time.Second, "load before the outage, and after it")
	flag.DurationVar(&o.away, "away", 30*time.Second, "how long Kafka is away")
	flag.DurationVar(&o.patience, "patience", time.Second, "how long a client waits for its answer before it leaves and sends another request")
	flag.IntVar(&o.connections, "connections", 64, "clients")
	flag.IntVar(&o.recordsPerRequest, "records", 1000, "per request")
	flag.Int64Var(&o.queueMaxBytes, "queue", 256<<20, "queue.maxBytes in `bytes`")
	flag.Int64Var(&o.slackBytes, "slack", 64<<20, "`bytes` that resident memory may be above queue.maxBytes")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	err := run(ctx, o)
	stop()
	if err != nil {
		fmt.Fprintf(os.Stderr, "outage: %v\n", err)
		os.Exit(1)
	}
}
