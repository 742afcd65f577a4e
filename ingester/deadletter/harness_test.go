package deadletter

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	kafkago "github.com/segmentio/kafka-go"
	"github.com/twmb/franz-go/pkg/kfake"
	"go.uber.org/goleak"

	"github.com/logpipeline/logpipeline/ingester/config"
	"github.com/logpipeline/logpipeline/ingester/kafka"
	"github.com/logpipeline/logpipeline/ingester/record"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// cluster is a Kafka with a topic for logs, of three partitions, and one for
// dead letters, of two.
type cluster struct {
	*kafka.Client
	logs, letters string
}

// onEveryBroker runs a test on the in-process broker, and on the real one that
// KAFKA_BOOTSTRAP names, with topics of its own.
func onEveryBroker(t *testing.T, test func(t *testing.T, c cluster)) {
	t.Run("kfake", func(t *testing.T) { test(t, newCluster(t, newFake(t).ListenAddrs(), true)) })
	t.Run("real broker", func(t *testing.T) {
		bootstrap := os.Getenv("KAFKA_BOOTSTRAP")
		if bootstrap == "" {
			t.Skip("KAFKA_BOOTSTRAP names no broker")
		}
		test(t, newCluster(t, strings.Split(bootstrap, ","), true))
	})
}

func newFake(t *testing.T) *kfake.Cluster {
	t.Helper()
	fake, err := kfake.NewCluster(kfake.NumBrokers(1))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(fake.Close)
	return fake
}

func newCluster(t *testing.T, servers []string, withLetters bool) cluster {
	t.Helper()
	c := cluster{logs: "test." + uuid.NewString(), letters: "test." + uuid.NewString()}
	createTopic(t, servers, c.logs, 3)
	if withLetters {
		createTopic(t, servers, c.letters, 2)
	}
	c.Client = kafka.New(config.Kafka{BootstrapServers: servers, ClientID: "test"}, c.logs, c.letters)
	t.Cleanup(c.Close)
	return c
}

func createTopic(t *testing.T, servers []string, name string, partitions int) {
	t.Helper()
	client := kafka.New(config.Kafka{BootstrapServers: servers, ClientID: "test"})
	defer client.Close()
	created, err := client.Admin().CreateTopics(t.Context(), &kafkago.CreateTopicsRequest{
		Topics: []kafkago.TopicConfig{{Topic: name, NumPartitions: partitions, ReplicationFactor: 1, ConfigEntries: []kafkago.ConfigEntry{
			{ConfigName: "max.message.bytes", ConfigValue: "1000000"},
		}}},
	})
	if err == nil {
		err = created.Errors[name]
	}
	if err != nil {
		t.Fatalf("create topic: %v", err)
	}
	for partition := range int32(partitions) {
		await(t, "a leader", func() bool {
			_, _, err := client.Offsets(t.Context(), name, partition)
			return err == nil
		})
	}
}

func await(t *testing.T, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !done(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("there isn't %s in time", what)
		}
	}
}

func (c cluster) open(t *testing.T, dir string, maxBytes int64) (*Store, *prometheus.Registry) {
	t.Helper()
	reg := prometheus.NewRegistry()
	s, err := Open(config.DeadLetter{Topic: c.letters, MaxBytes: config.Bytes(maxBytes)}, dir, c.Client, slog.New(slog.NewTextHandler(io.Discard, nil)), reg)
	if err != nil {
		t.Fatal(err)
	}
	s.patience = time.Minute // for what is to be in the topic, on whatever machine
	return s, reg
}

func (c cluster) scan(t *testing.T, dir string) *Inventory {
	t.Helper()
	inv, err := Scan(t.Context(), c.Client, c.letters, dir)
	if err != nil {
		t.Fatal(err)
	}
	return inv
}

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// newLetter is one that a replay puts back unasked: its client holds a receipt.
func (c cluster) newLetter(batch string, first, records int) record.DeadLetter {
	d := record.DeadLetter{
		Batch: batch, FirstRecord: first, Reason: "[19] no replicas", Acknowledged: true,
		Topic: c.logs, Partition: 1, Received: noon.Add(-time.Minute), Time: noon,
		Headers: []record.Header{{Key: "tenant", Value: []byte("blue")}},
	}
	for i := range records {
		d.Records = append(d.Records, fmt.Appendf(nil, `{"batch":%q,"record":%d}`, batch, first+i))
	}
	return d
}

func put(t *testing.T, s *Store, letters ...record.DeadLetter) {
	t.Helper()
	for _, d := range letters { // each by itself
		if err := errors.Join(s.Put(t.Context(), []record.DeadLetter{d})...); err != nil {
			t.Fatal(err)
		}
	}
}

// putAlone puts letters into a folder, each in a file of its own.
func putAlone(t *testing.T, f *folder, letters ...record.DeadLetter) {
	t.Helper()
	for _, d := range letters {
		if err := errors.Join(f.put([]record.DeadLetter{d})...); err != nil {
			t.Fatal(err)
		}
	}
}

// logged is a record in a topic.
type logged struct {
	Partition  int32
	Key, Value string
	Headers    string
	Timestamp  int64
}

// log reads all of a topic.
func (c cluster) log(t *testing.T, topic string) []logged {
	t.Helper()
	var all []logged
	described, err := c.Topic(t.Context(), topic)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range described.Partitions {
		start, end, err := c.Offsets(t.Context(), topic, p.ID)
		if err != nil {
			t.Fatal(err)
		}
		f := &kafka.FetchRequest{Topic: topic, Partition: p.ID, Offset: start, LeaderEpoch: -1, MaxBytes: 1 << 20, MinBytes: 1, MaxWait: time.Second}
		for f.Offset < end {
			err := readOnce(t.Context(), c.Client, f, func(r *kafka.Record, headers []record.Header) error {
				l := logged{Partition: p.ID, Key: string(r.Key), Value: string(r.Value), Timestamp: r.Timestamp}
				for _, h := range headers {
					l.Headers += fmt.Sprintf("%s=%s;", h.Key, h.Value)
				}
				all = append(all, l)
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	return all
}

// during runs the store while do runs.
func during(t *testing.T, s *Store, do func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	defer func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("run: %v", err)
		}
	}()
	do()
}
