// Command discard is a Kafka broker that acknowledges every record and keeps
// none, so that a benchmark of a producer is not one of a broker's storage. It
// checks record batches as a broker does (lengths, CRC, sequences of idempotent
// producers) and its offsets advance by what it took, so that they count it.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/twmb/franz-go/pkg/kfake"
)

func main() {
	port := flag.Int("port", 0, "listen on this loopback `port`; 0 chooses one")
	topic := flag.String("topic", "logs", "have this `topic`")
	partitions := flag.Int("partitions", 4, "of the topic")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	err := run(ctx, *port, *topic, int32(*partitions))
	stop()
	if err != nil {
		fmt.Fprintf(os.Stderr, "discard: %v\n", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, port int, topic string, partitions int32) error {
	cluster, err := kfake.NewCluster(
		kfake.NumBrokers(1),
		kfake.Ports(port),
		kfake.SeedTopics(partitions, topic),
		kfake.BlackholeProduce(),
	)
	if err != nil {
		return fmt.Errorf("start the broker: %w", err)
	}
	defer cluster.Close()
	fmt.Println("listening at", cluster.ListenAddrs()[0])
	<-ctx.Done()
	return nil
}
