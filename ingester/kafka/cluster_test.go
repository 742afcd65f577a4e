package kafka

import (
	"context"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	kafkago "github.com/segmentio/kafka-go"
	"github.com/twmb/franz-go/pkg/kfake"
	"go.uber.org/goleak"

	"github.com/logpipeline/logpipeline/ingester/config"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// onEveryBroker runs a test on the in-process broker, and on the real one that
// KAFKA_BOOTSTRAP names, with a topic of its own of two partitions.
func onEveryBroker(t *testing.T, test func(t *testing.T, client *Client, topic string)) {
	t.Run("kfake", func(t *testing.T) {
		test(t, newClient(t, newFake(t).ListenAddrs(), "logs"), "logs")
	})
	t.Run("real broker", func(t *testing.T) {
		bootstrap := os.Getenv("KAFKA_BOOTSTRAP")
		if bootstrap == "" {
			t.Skip("KAFKA_BOOTSTRAP names no broker")
		}
		servers := strings.Split(bootstrap, ",")
		topic := newTopic(t, servers)
		test(t, newClient(t, servers, topic), topic)
	})
}

func newFake(t testing.TB, options ...kfake.Opt) *kfake.Cluster {
	t.Helper()
	cluster, err := kfake.NewCluster(append([]kfake.Opt{kfake.NumBrokers(1), kfake.SeedTopics(2, "logs")}, options...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	return cluster
}

func newClient(t testing.TB, servers []string, topics ...string) *Client {
	t.Helper()
	client := New(config.Kafka{BootstrapServers: servers, ClientID: "test"}, topics...)
	t.Cleanup(client.Close)
	return client
}

func newTopic(t testing.TB, servers []string) string {
	t.Helper()
	name := "test." + uuid.NewString()
	client := newClient(t, servers)
	created, err := client.Admin().CreateTopics(t.Context(), &kafkago.CreateTopicsRequest{
		Topics: []kafkago.TopicConfig{{Topic: name, NumPartitions: 2, ReplicationFactor: 1}},
	})
	if err == nil {
		err = created.Errors[name]
	}
	if err != nil {
		t.Fatalf("create topic: %v", err)
	}
	for partition := range int32(2) {
		awaitLeader(t, client, name, partition)
	}
	return name
}

// awaitLeader waits until the leader knows that it is one, which it does some
// time after the topic was created.
func awaitLeader(t testing.TB, client *Client, topic string, partition int32) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for {
		if _, _, err := client.Offsets(ctx, topic, partition); err == nil {
			return
		} else if ctx.Err() != nil {
			t.Fatal(err)
		}
	}
}
