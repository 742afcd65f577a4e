package consumer_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/logpipeline/logpipeline/ingester/config"
	"github.com/logpipeline/logpipeline/ingester/consumer"
	"github.com/logpipeline/logpipeline/ingester/kafka"
	"github.com/logpipeline/logpipeline/ingester/record"
	"github.com/logpipeline/logpipeline/ingester/segment"
)

func TestPartitionStopsAndTheOthersGoOn(t *testing.T) {
	for name, test := range map[string]struct {
		spoil func(b *topic)
		want  string
	}{
		"line break in a record": {func(b *topic) { b.send(1, time.Now(), line(1, 60), "{\n}", line(1, 61)) }, "RecordUnstorable"},
		"empty record":           {func(b *topic) { b.send(1, time.Now(), line(1, 60), "", line(1, 61)) }, "RecordUnstorable"},
	} {
		t.Run(name, func(t *testing.T) {
			onEveryBroker(t, 2, func(t *testing.T, b *topic) {
				dir := t.TempDir()
				b.produce(1, 60)
				test.spoil(b)
				p := start(b, dir)
				eventually(t, "stop", stopped(p, test.want))
				b.sent[1] = 61 // what comes before the defect is stored
				b.produce(0, 100)
				waitStored(b, dir)
				p.stop()
				if got := p.metric("logpipeline_consumer_stopped_partitions"); got != 0 {
					t.Errorf("%v partitions stand still after the end", got)
				}
				if err := p.health(); err != nil {
					t.Errorf("health after the end is %v", err)
				}
			})
		})
	}
}

func stopped(p *process, reason string) func() error {
	return func() error {
		if got := p.metric("logpipeline_consumer_stopped_partitions", reason); got != 1 {
			return fmt.Errorf("%v partitions stand still for %s, want 1", got, reason)
		}
		if err := p.health(); err == nil || !strings.Contains(err.Error(), "1 partitions of topic") || !strings.Contains(err.Error(), reason) {
			return fmt.Errorf("health is %v, want that 1 partition is stopped, and %s", err, reason)
		}
		return nil
	}
}

func TestRetentionRemovedWhatWasNotStored(t *testing.T) {
	onEveryBroker(t, 1, func(t *testing.T, b *topic) {
		dir := t.TempDir()
		p := start(b, dir)
		b.produce(0, 50)
		waitStored(b, dir)
		p.stop()
		b.produce(0, 50)
		b.deleteRecords(0, 70)
		p = start(b, dir)
		eventually(t, "stop", stopped(p, "RetentionPassed"))
		eventually(t, "be late, and later", growing(p, "delay_seconds", "oldest_unsealed_age_seconds"))
		if n := p.metric("logpipeline_consumer_retention_at_risk_partitions"); n != 1 {
			t.Errorf("%v partitions are at risk, want the one that has lost records", n)
		}
		if n := p.metric("logpipeline_consumer_retention_left_seconds"); n > 0 {
			t.Errorf("%v s are left, want none", n)
		}
		b.sent[0] = 50
		expectExact(b, dir)
	})
}

// growing: the metrics are more than 0, and were less when it was called last.
func growing(p *process, names ...string) func() error {
	before := map[string]float64{}
	return func() error {
		for _, name := range names {
			last, now := before[name], p.metric("logpipeline_consumer_"+name)
			before[name] = now
			if last <= 0 || now <= last {
				return fmt.Errorf("%s was %v and is %v", name, last, now)
			}
		}
		return nil
	}
}

func TestRetentionRemovedOnlyWhatIsStored(t *testing.T) {
	onEveryBroker(t, 1, func(t *testing.T, b *topic) {
		dir := t.TempDir()
		p := start(b, dir)
		b.produce(0, 50)
		waitStored(b, dir)
		p.stop()
		b.deleteRecords(0, 50)
		b.produce(0, 50)
		start(b, dir)
		waitStored(b, dir)
	})
}

func TestNewChainBeginsAtTheStartOfTheLog(t *testing.T) {
	onEveryBroker(t, 1, func(t *testing.T, b *topic) {
		dir := t.TempDir()
		b.send(0, time.Now(), "{}", "{}", "{}")
		b.deleteRecords(0, 3)
		b.produce(0, 20)
		start(b, dir)
		if report := waitStored(b, dir); report.Chains[0].FirstOffset != 3 {
			t.Errorf("chain begins at %d, want 3", report.Chains[0].FirstOffset)
		}
	})
}

func TestLogEndsBeforeWhatIsStored(t *testing.T) {
	onEveryBroker(t, 1, func(t *testing.T, b *topic) {
		dir := t.TempDir()
		b.storeAhead(dir, 100)
		b.produce(0, 10)
		eventually(t, "stop", stopped(start(b, dir), "LogTruncated"))
	})
}

// storeAhead stores one record, as if there had been so many offsets.
func (b *topic) storeAhead(dir string, offsets int64) {
	b.t.Helper()
	found, err := b.client.Topic(b.t.Context(), b.name)
	if err != nil {
		b.t.Fatal(err)
	}
	d, err := segment.OpenDirectory(dir, config.Default().Segment, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	if err != nil {
		b.t.Fatal(err)
	}
	chain, err := d.Open(b.t.Context(), b.name, found.ID, 0, func(context.Context) (int64, error) { return 0, nil })
	if err != nil {
		b.t.Fatal(err)
	}
	if err := chain.Append([]byte("{}\n"), record.Span{NextOffset: offsets, Records: 1}); err != nil {
		b.t.Fatal(err)
	}
	if _, err := chain.Seal(b.t.Context()); err != nil {
		b.t.Fatal(err)
	}
}

func TestTopicDeletedAndCreatedAgain(t *testing.T) {
	for name, restart := range map[string]bool{"while the consumer runs": false, "while it is away": true} {
		t.Run(name, func(t *testing.T) {
			onEveryBroker(t, 1, func(t *testing.T, b *topic) {
				dir := t.TempDir()
				p := start(b, dir)
				b.produce(0, 50)
				waitStored(b, dir)
				if restart {
					p.stop()
				}
				b.delete()
				b.create(1)
				b.produce(0, 200) // beyond the old end
				if restart {
					p = start(b, dir)
				}
				eventually(t, "stop", stopped(p, "TopicRecreated"))
				b.sent[0] = 50
				expectExact(b, dir)
			})
		})
	}
}

func TestStopWhileKafkaIsGone(t *testing.T) {
	cluster := newFake(t)
	b := newTopic(t, cluster.ListenAddrs(), 1)
	dir := t.TempDir()
	p := start(b, dir, neverDue)
	b.produce(0, 10)
	eventually(t, "append", func() error {
		if p.faults.tries.Load() == 0 {
			return errors.New("nothing appended")
		}
		return nil
	})
	cluster.Close()
	p.stop()
	expectExact(b, dir) // what had been fetched was sealed
}

func TestKafkaIsAwayForAWhile(t *testing.T) {
	t.Parallel()
	log := t.TempDir()
	broker := func(options ...kfake.Opt) *kfake.Cluster {
		cluster, err := kfake.NewCluster(append(options, kfake.NumBrokers(1), kfake.DataDir(log), kfake.SyncWrites())...)
		if err != nil {
			t.Fatal(err)
		}
		return cluster
	}
	cluster := broker()
	b := newTopic(t, cluster.ListenAddrs(), 1)
	dir := t.TempDir()
	start(b, dir)
	b.produce(0, 100)
	waitStored(b, dir)
	_, port, err := net.SplitHostPort(b.servers[0])
	if err != nil {
		t.Fatal(err)
	}
	number, err := strconv.Atoi(port)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		cluster.Close()
		cluster = broker(kfake.Ports(number))
		b.client = newClient(t, b.servers, b.name) // without connections to the broker before
		b.produce(0, 100)
		waitStored(b, dir)
	}
	t.Cleanup(cluster.Close)
}

func TestBatchIsCorrupt(t *testing.T) {
	t.Parallel()
	cluster := newFake(t)
	b := newTopic(t, cluster.ListenAddrs(), 1)
	b.produce(0, 30)
	cluster.ControlKey(int16(kmsg.Fetch), func(request kmsg.Request) (kmsg.Response, error, bool) {
		cluster.KeepControl()
		asked := request.(*kmsg.FetchRequest).Topics[0].Partitions[0].FetchOffset
		if asked < 30 {
			return nil, nil, false
		}
		response := request.ResponseKind().(*kmsg.FetchResponse)
		response.Topics = []kmsg.FetchResponseTopic{{Topic: b.name, Partitions: []kmsg.FetchResponseTopicPartition{{
			HighWatermark: 31, LastStableOffset: 31, RecordBatches: corruptBatch(30),
		}}}}
		return response, nil, true
	})
	dir := t.TempDir()
	eventually(t, "stop", stopped(start(b, dir), "BatchCorrupt"))
	expectExact(b, dir)
}

func corruptBatch(offset int64) []byte {
	var builder kafka.BatchBuilder
	builder.Append(time.Now().UnixMilli(), nil, []byte(line(0, int(offset))), nil)
	batch := builder.Seal(kafka.ProducerID{ID: -1, Epoch: -1}, -1)
	binary.BigEndian.PutUint64(batch, uint64(offset))
	batch[len(batch)-5] ^= 1
	return batch
}

func TestStopWhileThereWasNeverAKafka(t *testing.T) {
	b := &topic{t: t, servers: []string{"127.0.0.1:1"}, name: "test"}
	p := start(b, t.TempDir())
	p.stop()
}

func TestNewRefuses(t *testing.T) {
	for name, change := range map[string]func(*config.Config){
		"no topic":              func(c *config.Config) { c.Topic = "" },
		"no time for the drain": func(c *config.Config) { c.Drain.TimeoutSeconds = 0 },
	} {
		cfg := config.Default()
		cfg.Topic = "orders"
		change(&cfg)
		if _, err := consumer.New(cfg, nil, nil, slog.New(slog.DiscardHandler), prometheus.NewRegistry()); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
