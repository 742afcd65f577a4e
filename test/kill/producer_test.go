package kill

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

type topic struct {
	bootstrap, name string
}

func createTopic(t *testing.T, bootstrap string) topic {
	t.Helper()
	created := topic{bootstrap, fmt.Sprintf("kill-%d", time.Now().UnixNano())}
	client := newClient(t, created)
	request := kmsg.NewPtrCreateTopicsRequest()
	one := kmsg.NewCreateTopicsRequestTopic()
	one.Topic, one.NumPartitions, one.ReplicationFactor = created.name, partitions, 1
	request.Topics = append(request.Topics, one)
	response, err := request.RequestWith(t.Context(), client)
	if err == nil {
		err = kerr.ErrorForCode(response.Topics[0].ErrorCode)
	}
	if err != nil {
		t.Fatalf("create topic: %v", err)
	}
	t.Cleanup(func() { deleteTopic(t, created) })
	return created
}

func deleteTopic(t *testing.T, created topic) {
	request := kmsg.NewPtrDeleteTopicsRequest()
	request.TopicNames = []string{created.name}
	one := kmsg.NewDeleteTopicsRequestTopic()
	one.Topic = &created.name
	request.Topics = append(request.Topics, one)
	if _, err := request.RequestWith(context.WithoutCancel(t.Context()), newClient(t, created)); err != nil {
		t.Errorf("delete topic: %v", err)
	}
}

// newClient returns an idempotent client, which writes each record once.
func newClient(t *testing.T, to topic, options ...kgo.Opt) *kgo.Client {
	t.Helper()
	options = append(options, kgo.SeedBrokers(strings.Split(to.bootstrap, ",")...), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	client, err := kgo.NewClient(options...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return client
}

// producer writes the records of each partition in their order, so that a
// record's number is its offset.
type producer struct {
	t        *testing.T
	quit     chan struct{}
	running  sync.WaitGroup
	produced [partitions]int // only once it has stopped
}

// line is record n of a partition.
func line(partition, n int) string {
	return fmt.Sprintf(`{"partition":%d,"n":%d,"text":"%s"}`, partition, n, strings.Repeat("abcdefghij", (n+partition)%12))
}

// startProducer writes to every partition, with codecs that differ, until it
// is stopped.
func startProducer(t *testing.T, to topic) *producer {
	t.Helper()
	p := &producer{t: t, quit: make(chan struct{})}
	codecs := []kgo.CompressionCodec{kgo.NoCompression(), kgo.ZstdCompression(), kgo.Lz4Compression(), kgo.SnappyCompression()}
	for partition := range partitions {
		client := newClient(t, to, kgo.ProducerBatchCompression(codecs[partition%len(codecs)]), kgo.ProducerLinger(5*time.Millisecond))
		p.running.Go(func() { p.produce(client, to.name, partition) })
	}
	return p
}

func (p *producer) produce(client *kgo.Client, name string, partition int) {
	const perTick = 50
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for n := 0; ; n += perTick {
		records := make([]*kgo.Record, perTick)
		for i := range records {
			records[i] = &kgo.Record{Topic: name, Partition: int32(partition), Value: []byte(line(partition, n+i))}
		}
		if err := client.ProduceSync(p.t.Context(), records...).FirstErr(); err != nil {
			p.t.Errorf("produce to partition %d: %v", partition, err)
			return
		}
		p.produced[partition] = n + perTick
		select {
		case <-p.quit:
			return
		case <-ticker.C:
		}
	}
}

// stop returns how many records each partition has.
func (p *producer) stop() [partitions]int {
	close(p.quit)
	p.running.Wait()
	return p.produced
}

func sum(produced [partitions]int) (total int) {
	for _, n := range produced {
		total += n
	}
	return total
}
