package ingester

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/logpipeline/logpipeline/ingester/kafka"
	kafkago "github.com/segmentio/kafka-go"
	"github.com/twmb/franz-go/pkg/kfake"
)

// startBroker starts the embedded Kafka on a loopback port of its own choice.
// Every batch is fsynced before it is acknowledged. The caller closes it.
func startBroker(dataDir string) (*kfake.Cluster, error) {
	broker, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.DataDir(dataDir), kfake.SyncWrites())
	if err != nil {
		return nil, fmt.Errorf("start the embedded Kafka in %s: %w", dataDir, err)
	}
	return broker, nil
}

// createTopic makes the topic of the standalone role, unless a run before this
// one did.
func (p *process) createTopic(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	client := kafka.New(p.cfg.Kafka)
	defer client.Close()
	if _, err := client.Topic(ctx, p.cfg.Topic); !errors.Is(err, kafka.UnknownTopic) {
		return err
	}
	response, err := client.Admin().CreateTopics(ctx, &kafkago.CreateTopicsRequest{Topics: []kafkago.TopicConfig{{
		Topic:             p.cfg.Topic,
		NumPartitions:     p.cfg.Standalone.Partitions,
		ReplicationFactor: 1,
		ConfigEntries: []kafkago.ConfigEntry{{
			ConfigName:  "max.message.bytes",
			ConfigValue: fmt.Sprint(p.cfg.TopicMaxMessageBytes()),
		}},
	}}})
	if err == nil {
		err = response.Errors[p.cfg.Topic]
	}
	if err != nil {
		return fmt.Errorf("create topic %q: %w", p.cfg.Topic, err)
	}
	return nil
}
