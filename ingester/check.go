package ingester

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/logpipeline/logpipeline/ingester/config"
	"github.com/logpipeline/logpipeline/ingester/kafka"
	kafkago "github.com/segmentio/kafka-go"
)

// Check asks the brokers for what every role asks them first and writes what
// they say: who they are and, of the topic and the dead-letter topic that the
// configuration names, the leaders and offsets. The error is the first thing that would keep a role from working.
func Check(ctx context.Context, cfg config.Config, w io.Writer) error {
	client := kafka.New(cfg.Kafka)
	defer client.Close()
	cluster, err := client.Admin().Metadata(ctx, &kafkago.MetadataRequest{})
	if err != nil {
		return fmt.Errorf("ask %s: %w", strings.Join(cfg.Kafka.BootstrapServers, ","), client.Explain(err))
	}
	fmt.Fprintf(w, "cluster %s answers with %d broker(s):\n", cluster.ClusterID, len(cluster.Brokers))
	for _, broker := range cluster.Brokers {
		fmt.Fprintf(w, "  broker %d at %s:%d\n", broker.ID, broker.Host, broker.Port)
	}
	for _, name := range []string{cfg.Topic, cfg.DeadLetter.Topic} {
		if name == "" {
			continue
		}
		if err := checkTopic(ctx, client, name, w); err != nil {
			return err
		}
	}
	return nil
}

func checkTopic(ctx context.Context, client *kafka.Client, name string, w io.Writer) error {
	topic, err := client.Topic(ctx, name)
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "topic %s (id %s) has %d partition(s):\n", topic.Name, topic.ID, len(topic.Partitions))
	for _, p := range topic.Partitions {
		if p.Leader < 0 {
			return fmt.Errorf("partition %d of topic %q has no leader", p.ID, name)
		}
		start, end, err := client.Offsets(ctx, name, p.ID)
		if err != nil {
			return err
		}
		fmt.Fprintf(w, "  partition %d: offsets from %d up to %d, led by broker %d\n", p.ID, start, end, p.Leader)
	}
	return nil
}
