package producer

import (
	"context"
	"io"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	kafkago "github.com/segmentio/kafka-go"
	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/logpipeline/logpipeline/ingester/config"
	"github.com/logpipeline/logpipeline/ingester/kafka"
	"github.com/logpipeline/logpipeline/ingester/record"
)

// run is one producer on a cluster.
type run struct {
	client  *kafka.Client
	source  *source
	letters *letters
	metrics *metrics
	stop    context.CancelFunc
	done    chan error
}

// start runs a producer until the test ends.
func start(t testing.TB, servers []string, topic string, cfg config.Producer, options ...Options) *run {
	t.Helper()
	r := &run{
		client: kafka.New(config.Kafka{BootstrapServers: servers, ClientID: "test"}, topic),
		source: newSource(), letters: &letters{}, done: make(chan error, 1),
	}
	o := Options{}
	if len(options) > 0 {
		o = options[0]
	}
	if o.DeadLetters == nil {
		o.DeadLetters = r.letters
	}
	p, err := New(cfg, topic, r.client, r.source, o, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	r.metrics = p.metrics
	ctx, cancel := context.WithCancel(t.Context())
	r.stop = cancel
	go func() { r.done <- p.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		select {
		case <-r.done:
		case <-time.After(time.Minute):
			t.Error("Run didn't end")
		}
		r.client.Close()
	})
	return r
}

// deliver puts one batch and waits for its outcome.
func (r *run) deliver(t testing.TB, b *record.Batch) record.Outcome {
	t.Helper()
	r.source.put(b)
	return awaited(t, b)
}

// awaitDoubt waits until a batch is in doubt, or settled.
func (r *run) awaitDoubt(t testing.TB, b *record.Batch) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); testutil.ToFloat64(r.metrics.inDoubt) == 0 && len(settled(b)) == 0; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("batch %s is neither in doubt nor settled", b.ID)
		}
	}
}

// finish lets the producer deliver all that it was given, and end.
func (r *run) finish(t testing.TB) {
	t.Helper()
	r.source.close()
	select {
	case err := <-r.done:
		if err != nil {
			t.Fatal(err)
		}
		r.done <- nil
	case <-time.After(3 * time.Minute):
		t.Fatal("Run didn't end")
	}
}

// awaited is the outcome of a batch, once it is known.
func awaited(t testing.TB, b *record.Batch) record.Outcome {
	t.Helper()
	select {
	case o := <-settled(b):
		return o
	case <-time.After(time.Minute):
		t.Fatalf("batch %s was not completed", b.ID)
		return record.Outcome{}
	}
}

// letters are dead letters in memory.
type letters struct {
	mu   sync.Mutex
	put  []record.DeadLetter
	fail error
}

func (l *letters) Put(_ context.Context, letters []record.DeadLetter) []error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.fail != nil {
		return slices.Repeat([]error{l.fail}, len(letters))
	}
	for _, letter := range letters {
		for i, r := range letter.Records {
			letter.Records[i] = slices.Clone(r)
		}
		l.put = append(l.put, letter)
	}
	return nil
}

func (l *letters) all() []record.DeadLetter {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.put)
}

// contents are the values of a partition's log.
func contents(t testing.TB, client *kafka.Client, topic string, partition int32) []string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	start, end, err := client.Offsets(ctx, topic, partition)
	for ; err != nil && ctx.Err() == nil; start, end, err = client.Offsets(ctx, topic, partition) {
	}
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	var reader kafka.BatchReader
	f := &kafka.FetchRequest{Topic: topic, Partition: partition, Offset: start, LeaderEpoch: -1, MaxBytes: 1 << 20, MinBytes: 1, MaxWait: time.Second}
	for f.Offset < end {
		response, err := client.Fetch(ctx, f)
		if err != nil {
			t.Fatal(err)
		}
		reader.Reset(response.Records, f.Offset, response.Aborted)
		for {
			batch, err := reader.Next()
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			for record := (kafka.Record{}); batch.Next(&record); {
				all = append(all, string(record.Value))
			}
			f.Offset = batch.NextOffset
		}
	}
	return all
}

func newFake(t testing.TB, options ...kfake.Opt) *kfake.Cluster {
	t.Helper()
	cluster, err := kfake.NewCluster(append([]kfake.Opt{kfake.NumBrokers(1), kfake.SeedTopics(1, "logs")}, options...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	return cluster
}

func sum(t testing.TB, vec *prometheus.CounterVec) (total float64) {
	t.Helper()
	metrics := make(chan prometheus.Metric, 100)
	vec.Collect(metrics)
	close(metrics)
	for m := range metrics {
		total += testutil.ToFloat64(asCollector{m})
	}
	return total
}

// asCollector is a collector of one metric.
type asCollector struct{ prometheus.Metric }

func (c asCollector) Describe(d chan<- *prometheus.Desc) { d <- c.Desc() }
func (c asCollector) Collect(m chan<- prometheus.Metric) { m <- c.Metric }

func newTopic(t testing.TB, servers []string, partitions int) string {
	t.Helper()
	return createTopic(t, servers, kafkago.TopicConfig{NumPartitions: partitions})
}
