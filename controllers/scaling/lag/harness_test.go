package lag

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"
	"go.uber.org/goleak"

	"github.com/logpipeline/logpipeline/ingester/config"
	"github.com/logpipeline/logpipeline/ingester/kafka"
	"github.com/logpipeline/logpipeline/test/await"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is a Kafka with a topic of two partitions and a group of a test's own.
type world struct {
	*testing.T
	servers      []string
	admin        *kgo.Client
	topic, group string
}

// onEveryKafka runs a test on kfake, and on the broker that KAFKA_BOOTSTRAP
// names.
func onEveryKafka(t *testing.T, test func(w *world)) {
	t.Run("kfake", func(t *testing.T) { test(newWorld(t, newFake(t).ListenAddrs())) })
	t.Run("broker", func(t *testing.T) { test(newWorld(t, realBroker(t))) })
}

func realBroker(t *testing.T) []string {
	servers := os.Getenv("KAFKA_BOOTSTRAP")
	if servers == "" {
		t.Skip("KAFKA_BOOTSTRAP names no broker")
	}
	return strings.Split(servers, ",")
}

func newFake(t *testing.T) *kfake.Cluster {
	fake, err := kfake.NewCluster(kfake.NumBrokers(3))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(fake.Close)
	return fake
}

func newWorld(t *testing.T, servers []string) *world {
	w := &world{T: t, servers: servers, topic: "test.lag." + uuid.NewString(), group: "test.lag." + uuid.NewString()}
	w.admin = w.connect()
	w.create(w.topic, 2)
	return w
}

func (w *world) connect(options ...kgo.Opt) *kgo.Client {
	client, err := kgo.NewClient(append([]kgo.Opt{
		kgo.SeedBrokers(w.servers...), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.DisableIdempotentWrite(), kgo.MetadataMinAge(20 * time.Millisecond),
		kgo.MaxVersions(kversion.V3_5_0()), // topics by name
	}, options...)...)
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(client.Close)
	return client
}

func (w *world) context() context.Context {
	ctx, cancel := context.WithTimeout(w.Context(), time.Minute)
	w.Cleanup(cancel)
	return ctx
}

func (w *world) create(name string, partitions int32) {
	w.Helper()
	request := kmsg.NewCreateTopicsRequest()
	request.TimeoutMillis = 30_000
	topic := kmsg.NewCreateTopicsRequestTopic()
	topic.Topic, topic.NumPartitions, topic.ReplicationFactor = name, partitions, 1
	request.Topics = append(request.Topics, topic)
	await.NoError(w, func() error {
		response, err := request.RequestWith(w.context(), w.admin)
		if err != nil {
			return err
		}
		if code := response.Topics[0].ErrorCode; code != kerr.TopicAlreadyExists.Code {
			return kerr.ErrorForCode(code)
		}
		return nil
	})
	w.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		w.deleteTopic(ctx, name)
	})
	w.awaitLeaders(name, partitions)
}

func (w *world) deleteTopic(ctx context.Context, name string) {
	request := kmsg.NewDeleteTopicsRequest()
	request.TimeoutMillis = 30_000
	topic := kmsg.NewDeleteTopicsRequestTopic()
	topic.Topic = &name
	request.Topics, request.TopicNames = append(request.Topics, topic), []string{name}
	if _, err := request.RequestWith(ctx, w.admin); err != nil {
		w.Logf("delete topic %q: %v", name, err) // a test may have ended its Kafka
	}
}

// awaitLeaders returns once every partition's leader knows that it is one.
func (w *world) awaitLeaders(name string, partitions int32) {
	cluster := w.reader()
	await.NoError(w, func() error {
		r := cluster.Read(w.context(), []Query{{Topic: name, Group: w.group}})[0]
		if r.Err == nil && len(r.Reading.Partitions) != int(partitions) {
			return fmt.Errorf("%d partitions", len(r.Reading.Partitions))
		}
		return r.Err
	})
}

func (w *world) reader() *Cluster {
	cluster := Connect(config.Kafka{BootstrapServers: w.servers, ClientID: "test"}, kafka.Credentials{})
	w.Cleanup(cluster.Close)
	return cluster
}

// produce appends n records of that time, as one batch.
func (w *world) produce(partition int32, n int, at time.Time) {
	w.Helper()
	client := w.connect() // which knows the topic as it is now
	defer client.Close()
	w.produceWith(client, partition, n, at)
}

func (w *world) produceWith(client *kgo.Client, partition int32, n int, at time.Time) {
	w.Helper()
	records := make([]*kgo.Record, n)
	for i := range records {
		records[i] = &kgo.Record{Topic: w.topic, Partition: partition, Timestamp: at, Value: []byte("{}")}
	}
	if err := client.ProduceSync(w.context(), records...).FirstErr(); err != nil {
		w.Fatal(err)
	}
}

// transact appends n records in a transaction and ends it.
func (w *world) transact(partition int32, n int, at time.Time, end kgo.TransactionEndTry) {
	w.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(w.servers...), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.TransactionalID(w.group+uuid.NewString()))
	if err != nil {
		w.Fatal(err)
	}
	defer client.Close()
	if err := client.BeginTransaction(); err != nil {
		w.Fatal(err)
	}
	w.produceWith(client, partition, n, at)
	if err := client.EndTransaction(w.context(), end); err != nil {
		w.Fatal(err)
	}
	// The coordinator answers before the marker, which ends it, is in the log.
	for w.end(client, partition, 1) != w.end(client, partition, 0) {
		if err := w.context().Err(); err != nil {
			w.Fatal(err)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// end is where a partition ends at an isolation level: 0 sees records of open
// transactions.
func (w *world) end(client *kgo.Client, partition int32, isolation int8) int64 {
	w.Helper()
	request := kmsg.NewPtrListOffsetsRequest()
	request.ReplicaID, request.IsolationLevel = -1, isolation
	one := kmsg.NewListOffsetsRequestTopicPartition()
	one.Partition, one.Timestamp = partition, -1
	request.Topics = []kmsg.ListOffsetsRequestTopic{{Topic: w.topic, Partitions: []kmsg.ListOffsetsRequestTopicPartition{one}}}
	response, err := request.RequestWith(w.context(), client)
	if err != nil {
		w.Fatal(err)
	}
	return response.Topics[0].Partitions[0].Offset
}

// open begins a transaction that stays open until the test ends.
func (w *world) open(partition int32, n int, at time.Time) {
	w.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(w.servers...), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.TransactionalID(w.group+uuid.NewString()))
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(client.Close)
	if err := client.BeginTransaction(); err != nil {
		w.Fatal(err)
	}
	w.produceWith(client, partition, n, at)
}

func (w *world) commit(partition int32, offset int64) {
	w.Helper()
	request := kmsg.NewOffsetCommitRequest()
	request.Group = w.group
	topic := kmsg.NewOffsetCommitRequestTopic()
	topic.Topic = w.topic
	p := kmsg.NewOffsetCommitRequestTopicPartition()
	p.Partition, p.Offset = partition, offset
	topic.Partitions = append(topic.Partitions, p)
	request.Topics = append(request.Topics, topic)
	await.NoError(w, func() error {
		response, err := request.RequestWith(w.context(), w.admin)
		if err != nil {
			return err
		}
		return kerr.ErrorForCode(response.Topics[0].Partitions[0].ErrorCode)
	})
}

// expire removes what is before an offset, as retention does.
func (w *world) expire(partition int32, before int64) {
	w.Helper()
	request := kmsg.NewDeleteRecordsRequest()
	request.TimeoutMillis = 30_000
	topic := kmsg.NewDeleteRecordsRequestTopic()
	topic.Topic = w.topic
	p := kmsg.NewDeleteRecordsRequestTopicPartition()
	p.Partition, p.Offset = partition, before
	topic.Partitions = append(topic.Partitions, p)
	request.Topics = append(request.Topics, topic)
	response, err := request.RequestWith(w.context(), w.admin)
	if err == nil {
		err = kerr.ErrorForCode(response.Topics[0].Partitions[0].ErrorCode)
	}
	if err != nil {
		w.Fatal(err)
	}
}

func (w *world) grow(partitions int32) {
	w.Helper()
	request := kmsg.NewCreatePartitionsRequest()
	request.TimeoutMillis = 30_000
	topic := kmsg.NewCreatePartitionsRequestTopic()
	topic.Topic, topic.Count = w.topic, partitions
	request.Topics = append(request.Topics, topic)
	response, err := request.RequestWith(w.context(), w.admin)
	if err == nil {
		err = kerr.ErrorForCode(response.Topics[0].ErrorCode)
	}
	if err != nil {
		w.Fatal(err)
	}
	w.awaitLeaders(w.topic, partitions)
}

// recreate deletes the topic and makes another of its name.
func (w *world) recreate() {
	w.Helper()
	w.deleteTopic(w.context(), w.topic)
	w.create(w.topic, 2)
}
