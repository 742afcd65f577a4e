package consumer_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	kafkago "github.com/segmentio/kafka-go"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/logpipeline/logpipeline/ingester/config"
	"github.com/logpipeline/logpipeline/ingester/kafka"
)

// topic is a topic of one test on some broker.
type topic struct {
	t       testing.TB
	servers []string
	name    string
	client  *kafka.Client
	sent    map[int32]int // records per partition
}

// onEveryBroker runs a test on the in-process broker and on the real one that
// KAFKA_BOOTSTRAP names.
func onEveryBroker(t *testing.T, partitions int, test func(t *testing.T, topic *topic)) {
	t.Parallel()
	t.Run("kfake", func(t *testing.T) {
		t.Parallel()
		test(t, newTopic(t, newFake(t).ListenAddrs(), partitions))
	})
	t.Run("real broker", func(t *testing.T) {
		t.Parallel()
		test(t, newTopic(t, realBroker(t), partitions))
	})
}

func realBroker(t testing.TB) []string {
	bootstrap := os.Getenv("KAFKA_BOOTSTRAP")
	if bootstrap == "" {
		t.Skip("KAFKA_BOOTSTRAP names no broker")
	}
	return strings.Split(bootstrap, ",")
}

func newFake(t testing.TB) *kfake.Cluster {
	t.Helper()
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	return cluster
}

func newTopic(t testing.TB, servers []string, partitions int) *topic {
	t.Helper()
	b := &topic{t: t, servers: servers, name: "test." + uuid.NewString()}
	b.client = newClient(t, servers, b.name)
	if partitions > 0 {
		b.create(partitions)
	}
	return b
}

func newClient(t testing.TB, servers []string, topics ...string) *kafka.Client {
	client := kafka.New(config.Kafka{BootstrapServers: servers, ClientID: "test"}, topics...)
	t.Cleanup(client.Close)
	return client
}

func (b *topic) create(partitions int) {
	b.t.Helper()
	b.sent = map[int32]int{}
	response, err := newClient(b.t, b.servers).Admin().CreateTopics(b.t.Context(), &kafkago.CreateTopicsRequest{
		Topics: []kafkago.TopicConfig{{Topic: b.name, NumPartitions: partitions, ReplicationFactor: 1}},
	})
	if err == nil {
		err = response.Errors[b.name]
	}
	if err != nil {
		b.t.Fatal(err)
	}
}

func (b *topic) delete() {
	b.t.Helper()
	response, err := newClient(b.t, b.servers).Admin().DeleteTopics(b.t.Context(), &kafkago.DeleteTopicsRequest{Topics: []string{b.name}})
	if err == nil {
		err = response.Errors[b.name]
	}
	if err != nil {
		b.t.Fatal(err)
	}
}

func (b *topic) grow(partitions int) {
	b.t.Helper()
	response, err := newClient(b.t, b.servers).Admin().CreatePartitions(b.t.Context(), &kafkago.CreatePartitionsRequest{
		Topics: []kafkago.TopicPartitionsConfig{{Name: b.name, Count: int32(partitions)}},
	})
	if err == nil {
		err = response.Errors[b.name]
	}
	if err != nil {
		b.t.Fatal(err)
	}
}

// configure sets a configuration of the topic.
func (b *topic) configure(name, value string) {
	b.t.Helper()
	response, err := newClient(b.t, b.servers).Admin().IncrementalAlterConfigs(b.t.Context(), &kafkago.IncrementalAlterConfigsRequest{
		Resources: []kafkago.IncrementalAlterConfigsRequestResource{{
			ResourceType: kafkago.ResourceTypeTopic, ResourceName: b.name,
			Configs: []kafkago.IncrementalAlterConfigsRequestConfig{{Name: name, Value: value, ConfigOperation: kafkago.ConfigOperationSet}},
		}},
	})
	if err == nil {
		err = response.Resources[0].Error
	}
	if err != nil {
		b.t.Fatal(err)
	}
}

// line is the i-th record of a partition.
func line(partition int32, i int) string {
	return fmt.Sprintf(`{"partition":%d,"n":%d,"message":"a record of some ordinary length, as services write them"}`, partition, i)
}

// produce appends n numbered records to a partition, in batches of at most 100.
func (b *topic) produce(partition int32, n int) {
	b.t.Helper()
	for n > 0 {
		size := min(n, 100)
		values := make([]string, size)
		for i := range values {
			values[i] = line(partition, b.sent[partition]+i)
		}
		b.send(partition, time.Now(), values...)
		b.sent[partition] += size
		n -= size
	}
}

// send appends one record batch.
func (b *topic) send(partition int32, timestamp time.Time, values ...string) {
	b.t.Helper()
	var batch kafka.BatchBuilder
	for _, v := range values {
		batch.Append(timestamp.UnixMilli(), nil, []byte(v), nil)
	}
	b.sendBatch(partition, &batch)
}

func (b *topic) sendBatch(partition int32, batch *kafka.BatchBuilder) {
	b.t.Helper()
	b.eventually("produce", func() error {
		_, err := b.client.Produce(b.t.Context(), &kafka.ProduceRequest{
			Topic: b.name, Partition: partition, Timeout: 10 * time.Second,
			Batch: batch.Seal(kafka.ProducerID{ID: -1, Epoch: -1}, -1),
		})
		if kafka.Classify(err) == kafka.Retry || strings.Contains(fmt.Sprint(err), "Not Leader") {
			return err // a new topic's leader may not know of it yet
		}
		if err != nil {
			b.t.Fatal(err)
		}
		return nil
	})
}

// eventually repeats attempt until it succeeds, for up to a minute.
func (b *topic) eventually(what string, attempt func() error) {
	b.t.Helper()
	eventually(b.t, what, attempt)
}

func eventually(t testing.TB, what string, attempt func() error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for {
		err := attempt()
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("%s: not within a minute: %v", what, err)
		case <-ticker.C:
		}
	}
}

// deleteRecords removes the records before an offset, as retention does.
func (b *topic) deleteRecords(partition int32, before int64) {
	b.t.Helper()
	request := kmsg.NewPtrDeleteRecordsRequest()
	request.TimeoutMillis = 10_000
	request.Topics = []kmsg.DeleteRecordsRequestTopic{{Topic: b.name, Partitions: []kmsg.DeleteRecordsRequestTopicPartition{{Partition: partition, Offset: before}}}}
	request.SetVersion(1)
	connection, err := net.Dial("tcp", b.servers[0])
	if err != nil {
		b.t.Fatal(err)
	}
	defer func() { _ = connection.Close() }()
	if _, err := connection.Write(kmsg.NewRequestFormatter().AppendRequest(nil, request, 1)); err != nil {
		b.t.Fatal(err)
	}
	var size [4]byte
	if _, err := io.ReadFull(connection, size[:]); err != nil {
		b.t.Fatal(err)
	}
	content := make([]byte, binary.BigEndian.Uint32(size[:]))
	if _, err := io.ReadFull(connection, content); err != nil {
		b.t.Fatal(err)
	}
	response := kmsg.NewPtrDeleteRecordsResponse()
	response.SetVersion(1)
	if err := response.ReadFrom(content[4:]); err != nil {
		b.t.Fatal(err)
	}
	if code := response.Topics[0].Partitions[0].ErrorCode; code != 0 {
		b.t.Fatalf("delete records: %v", kafkago.Error(code))
	}
}

// committed is what the group has committed for a partition.
func (b *topic) committed(group string, partition int) int64 {
	b.t.Helper()
	response, err := newClient(b.t, b.servers).Admin().OffsetFetch(b.t.Context(), &kafkago.OffsetFetchRequest{GroupID: group, Topics: map[string][]int{b.name: {partition}}})
	if err != nil {
		b.t.Fatal(err)
	}
	return response.Topics[b.name][0].CommittedOffset
}
