package producer

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	kafkago "github.com/segmentio/kafka-go"

	"github.com/logpipeline/logpipeline/ingester/config"
	"github.com/logpipeline/logpipeline/ingester/kafka"
	"github.com/logpipeline/logpipeline/ingester/record"
)

// stored is a record as another reader sees it.
type stored struct {
	Key, Value string
	HasKey     bool
	Headers    []string
}

// read reads a partition with kafka-go's own client.
func read(t *testing.T, servers []string, topic string, n int) []stored {
	t.Helper()
	transport := &kafkago.Transport{}
	defer transport.CloseIdleConnections()
	client := &kafkago.Client{Addr: kafkago.TCP(servers...), Transport: transport}
	var all []stored
	for deadline := time.Now().Add(time.Minute); len(all) < n && time.Now().Before(deadline); {
		response, err := client.Fetch(t.Context(), &kafkago.FetchRequest{Topic: topic, Offset: int64(len(all)), MinBytes: 1, MaxBytes: 1 << 20, MaxWait: time.Second})
		if err != nil {
			t.Fatal(err)
		}
		for {
			r, err := response.Records.ReadRecord()
			if err != nil {
				break
			}
			all = append(all, storedAs(t, r))
		}
	}
	return all
}

func storedAs(t *testing.T, r *kafkago.Record) stored {
	t.Helper()
	value, err := kafkago.ReadAll(r.Value)
	if err != nil {
		t.Fatal(err)
	}
	s := stored{Value: string(value), HasKey: r.Key != nil}
	if s.HasKey {
		key, err := kafkago.ReadAll(r.Key)
		if err != nil {
			t.Fatal(err)
		}
		s.Key = string(key)
	}
	for _, h := range r.Headers {
		s.Headers = append(s.Headers, h.Key+"="+string(h.Value))
	}
	return s
}

// Whatever the codec, another reader finds keys, values and headers; the first
// record of a request in a record batch carries the batch's id.
func TestWhatIsInKafka(t *testing.T) {
	for _, codec := range []config.Compression{config.CompressionNone, config.CompressionGzip, config.CompressionSnappy, config.CompressionLZ4, config.CompressionZstd} {
		t.Run(string(codec), func(t *testing.T) {
			cluster := newFake(t)
			cfg := config.Default().Producer
			cfg.Compression, cfg.KeyField, cfg.BatchRecords = codec, "text", 3
			r := start(t, cluster.ListenAddrs(), "logs", cfg)
			one, two := newBatch(t, "pod.1", "a", "b"), keyed(t, "pod.2", `{"text":"c"}`, `{"n":1}`, `{"text":""}`, `{"text":"`+strings.Repeat("x", 3000)+`"}`)
			one.Headers = []record.Header{{Key: "x-tenant", Value: []byte("t")}}
			two.IdempotencyKey = "mine"
			r.source.put(one, two)
			for _, b := range []*record.Batch{one, two} {
				if o := awaited(t, b); o.Err != nil {
					t.Fatal(o.Err)
				}
			}
			want := []stored{
				{"a", value("a"), true, []string{"logpipeline-batch=pod.1", "x-tenant=t"}},
				{"b", value("b"), true, []string{"x-tenant=t"}},
				{"c", value("c"), true, []string{"logpipeline-batch=pod.2", "idempotency-key=mine"}},
				{"", `{"n":1}`, false, []string{"logpipeline-batch=pod.2", "idempotency-key=mine"}},
				{"", value(""), true, nil},
				{strings.Repeat("x", 3000), value(strings.Repeat("x", 3000)), true, nil},
			}
			if diff := cmp.Diff(want, read(t, cluster.ListenAddrs(), "logs", len(want))); diff != "" {
				t.Errorf("records (-want +got):\n%s", diff)
			}
		})
	}
}

func realBroker(t *testing.T) []string {
	t.Helper()
	bootstrap := os.Getenv("KAFKA_BOOTSTRAP")
	if bootstrap == "" {
		t.Skip("KAFKA_BOOTSTRAP names no broker")
	}
	return strings.Split(bootstrap, ",")
}

// A compacted topic takes no record without a key: a real broker refuses the
// whole record batch for it.
func TestRealBrokerRefusesOneRecord(t *testing.T) {
	servers := realBroker(t)
	topic := createTopic(t, servers, kafkago.TopicConfig{ConfigEntries: []kafkago.ConfigEntry{{ConfigName: "cleanup.policy", ConfigValue: "compact"}}})
	cfg := config.Default().Producer
	cfg.KeyField = "k"
	r := start(t, servers, topic, cfg)
	left := keyed(t, "left", `{"k":"1"}`, `{"bad":1}`, `{"k":"2"}`)
	waits := keyed(t, "waits", `{"k":"3"}`, `{"k":"4"}`, `{"bad":2}`)
	left.Leave()
	for _, b := range []*record.Batch{left, waits} {
		b.Received = time.Now()
	}
	r.source.put(left, waits)
	r.finish(t)
	log := contents(t, r.client, topic, 0)
	if diff := cmp.Diff([]string{`{"k":"1"}`, `{"k":"2"}`, `{"k":"3"}`, `{"k":"4"}`}, log); diff != "" {
		t.Errorf("log (-want +got):\n%s", diff)
	}
	if got := checkOutcomes(t, []*record.Batch{left, waits}, map[int32][]string{0: log}); got != (tally{refused: 2}) {
		t.Errorf("outcomes are %+v", got)
	}
	if l := r.letters.all(); len(l) != 1 || l[0].Batch != "left" || l[0].FirstRecord != 1 || len(l[0].Records) != 1 || l[0].Unknown {
		t.Errorf("dead letters are %+v", l)
	}
}

// A topic that is deleted and made anew: delivery goes on by itself.
func TestRealBrokerTopicMadeAnew(t *testing.T) {
	servers := realBroker(t)
	topic := newTopic(t, servers, 1)
	r := start(t, servers, topic, config.Default().Producer)
	for i := range 3 {
		if o := r.deliver(t, newBatch(t, "before", fmt.Sprint("before ", i))); o.Err != nil {
			t.Fatal(o.Err)
		}
	}
	admin := kafka.New(config.Kafka{BootstrapServers: servers, ClientID: "test"})
	defer admin.Close()
	deleted, err := admin.Admin().DeleteTopics(t.Context(), &kafkago.DeleteTopicsRequest{Topics: []string{topic}})
	if err != nil || deleted.Errors[topic] != nil {
		t.Fatal(err, deleted)
	}
	b := newBatch(t, "after", "after")
	r.source.put(b)
	createTopic(t, servers, kafkago.TopicConfig{Topic: topic})
	o := awaited(t, b)
	if diff := cmp.Diff(record.Outcome{Placements: []record.Placement{{Topic: topic}}}, o); diff != "" {
		t.Errorf("outcome (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{value("after")}, contents(t, r.client, topic, 0)); diff != "" {
		t.Errorf("log (-want +got):\n%s", diff)
	}
}

// createTopic makes a topic of one partition, under a name of its own unless
// that is given.
func createTopic(t testing.TB, servers []string, c kafkago.TopicConfig) string {
	t.Helper()
	client := kafka.New(config.Kafka{BootstrapServers: servers, ClientID: "test"})
	defer client.Close()
	if c.Topic == "" {
		c.Topic = "test." + uuid.NewString()
	}
	c.NumPartitions, c.ReplicationFactor = max(c.NumPartitions, 1), 1
	deadline := time.Now().Add(time.Minute)
	for {
		created, err := client.Admin().CreateTopics(t.Context(), &kafkago.CreateTopicsRequest{Topics: []kafkago.TopicConfig{c}})
		if err == nil {
			err = created.Errors[c.Topic]
		}
		if err == nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("create topic: %v", err)
		}
	}
	for p := range int32(c.NumPartitions) { // a leader knows that it is one some time after
		_ = contents(t, client, c.Topic, p)
	}
	return c.Topic
}
