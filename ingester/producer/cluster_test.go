package producer

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/logpipeline/logpipeline/ingester/config"
	"github.com/logpipeline/logpipeline/ingester/record"
)

// One batch, one fault of the broker, and then another batch: what the outcome
// is, and what the log holds in the end.
func TestFaultsOfABroker(t *testing.T) {
	produce := []kmsg.Key{kmsg.Produce}
	fault := func(err *kerr.Error, n int) func(*kfake.Cluster) {
		return func(c *kfake.Cluster) { c.Fault(kfake.Fault{Keys: produce, Err: err, Count: n}) }
	}
	both := []string{value("one"), value("two")}
	for name, c := range map[string]struct {
		fault   func(*kfake.Cluster)
		want    error
		retries float64
		log     []string
	}{
		"none":                                     {func(*kfake.Cluster) {}, nil, 0, both},
		"acknowledgement is lost (time-out)":       {fault(kerr.RequestTimedOut, 2), nil, 2, both},
		"acknowledgement is lost (replicas)":       {fault(kerr.NotEnoughReplicasAfterAppend, 1), nil, 1, both},
		"not the leader":                           {fault(kerr.NotLeaderForPartition, 2), nil, 2, both},
		"too few replicas":                         {fault(kerr.NotEnoughReplicas, 2), nil, 2, both},
		"topic not known yet":                      {fault(kerr.UnknownTopicOrPartition, 2), nil, 2, both},
		"unknown server error":                     {fault(kerr.UnknownServerError, 1), record.ErrNotDelivered, 0, both[1:]},
		"sequence is out of order":                 {fault(kerr.OutOfOrderSequenceNumber, 1), nil, 1, both},
		"producer is unknown":                      {fault(kerr.UnknownProducerID, 1), nil, 1, both},
		"epoch is old":                             {fault(kerr.InvalidProducerEpoch, 1), nil, 1, both},
		"never sent is a duplicate":                {fault(kerr.DuplicateSequenceNumber, 1), nil, 1, both},
		"not authorized":                           {fault(kerr.TopicAuthorizationFailed, 1), record.ErrNotDelivered, 0, both[1:]},
		"record is invalid":                        {fault(kerr.InvalidRecord, 1), record.ErrRefused, 0, both[1:]},
		"too large":                                {fault(kerr.MessageTooLarge, 1), record.ErrTooLarge, 0, both[1:]},
		"connection is lost":                       {dropProduce(1), nil, 1, both},
		"lost, then refused":                       {then(fault(kerr.RequestTimedOut, 1), fault(kerr.InvalidRecord, 1)), nil, 1, both},
		"lost, then too large":                     {then(fault(kerr.RequestTimedOut, 1), fault(kerr.MessageTooLarge, 1)), nil, 1, both},
		"lost, then a duplicate without an offset": {then(fault(kerr.RequestTimedOut, 1), fault(kerr.DuplicateSequenceNumber, 1)), nil, 1, both},
		"lost, then the sequence too":              {then(fault(kerr.RequestTimedOut, 1), fault(kerr.OutOfOrderSequenceNumber, 1)), nil, 1, both},
		"lost, then fenced":                        {then(fault(kerr.RequestTimedOut, 1), fault(kerr.InvalidProducerEpoch, 1)), nil, 1, both},
		"refused, then lost":                       {then(fault(kerr.NotEnoughReplicas, 1), fault(kerr.RequestTimedOut, 1)), nil, 2, both},
	} {
		t.Run(name, func(t *testing.T) {
			cluster := newFake(t)
			r := start(t, cluster.ListenAddrs(), "logs", config.Default().Producer)
			c.fault(cluster)
			one := newBatch(t, "1", "one")
			r.source.put(one)
			r.awaitDoubt(t, one)
			second := r.deliver(t, newBatch(t, "2", "two"))
			if first := awaited(t, one); !errors.Is(first.Err, c.want) {
				t.Errorf("outcome is %v, want %v", first.Err, c.want)
			}
			last := int64(len(c.log) - 1)
			if diff := cmp.Diff(record.Outcome{Placements: []record.Placement{{Topic: "logs", FirstOffset: last, LastOffset: last}}}, second); diff != "" {
				t.Errorf("second outcome (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(c.log, contents(t, r.client, "logs", 0)); diff != "" {
				t.Errorf("log (-want +got):\n%s", diff)
			}
			if got := sum(t, r.metrics.retries); got != c.retries {
				t.Errorf("%v retries, want %v", got, c.retries)
			}
		})
	}
}

func then(faults ...func(*kfake.Cluster)) func(*kfake.Cluster) {
	return func(c *kfake.Cluster) {
		for _, f := range faults {
			f(c)
		}
	}
}

// dropProduce closes the connection instead of answering n produce requests.
func dropProduce(n int) func(*kfake.Cluster) {
	return func(c *kfake.Cluster) {
		for range n {
			c.ControlKey(int16(kmsg.Produce), func(kmsg.Request) (kmsg.Response, error, bool) { return nil, errors.New("dropped"), true })
		}
	}
}

// A broker that never answers: the batch is given up in doubt at the delivery
// timeout, and the next one goes out under another epoch. When that one is
// acknowledged, the log tells that the first was appended.
func TestBrokerNeverAnswers(t *testing.T) {
	cluster := newFake(t)
	released := make(chan struct{})
	epochs := make(chan int16, 10) // of the batches that the broker gets round to
	cluster.ControlKey(int16(kmsg.Produce), func(kmsg.Request) (kmsg.Response, error, bool) {
		cluster.SleepControl(func() { <-released })
		return nil, nil, false
	})
	cfg := config.Default().Producer
	cfg.DeliveryTimeoutSeconds = 3 // enough for the second batch on any machine
	r := start(t, cluster.ListenAddrs(), "logs", cfg)
	one := newBatch(t, "1", "one")
	r.source.put(one)
	r.awaitDoubt(t, one)
	cluster.ControlKey(int16(kmsg.Produce), func(request kmsg.Request) (kmsg.Response, error, bool) {
		var batch kmsg.RecordBatch
		if err := batch.ReadFrom(request.(*kmsg.ProduceRequest).Topics[0].Partitions[0].Records); err == nil {
			epochs <- batch.ProducerEpoch
		}
		cluster.KeepControl()
		return nil, nil, false
	})
	close(released)
	if epoch := <-epochs; epoch != 0 {
		t.Errorf("first batch has epoch %d", epoch)
	}
	if o := r.deliver(t, newBatch(t, "2", "two")); o.Err != nil {
		t.Errorf("second outcome is %v", o.Err)
	}
	if epoch := <-epochs; epoch != 1 {
		t.Errorf("second batch has epoch %d", epoch)
	}
	want := record.Outcome{Placements: []record.Placement{{Topic: "logs"}}}
	if diff := cmp.Diff(want, awaited(t, one)); diff != "" {
		t.Errorf("the first was appended after all; outcome (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{value("one"), value("two")}, contents(t, r.client, "logs", 0)); diff != "" {
		t.Errorf("log (-want +got):\n%s", diff)
	}
}

// A broker whose disk takes nothing: kfake notes the batch's sequence, fails to
// write the batch, and would take the same bytes for a duplicate that it has.
func TestBrokerThatCannotWriteAcknowledgesNothing(t *testing.T) {
	dir := t.TempDir()
	cluster := newFake(t, kfake.DataDir(dir), kfake.SyncWrites())
	r := start(t, cluster.ListenAddrs(), "logs", config.Default().Producer)
	partition := filepath.Join(dir, "partitions", "logs-0")
	if err := errors.Join(os.MkdirAll(filepath.Dir(partition), 0o755), os.RemoveAll(partition), os.WriteFile(partition, nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	one := newBatch(t, "1", "one")
	r.source.put(one)
	r.awaitDoubt(t, one)
	if err := os.Remove(partition); err != nil {
		t.Fatal(err)
	}
	if o := r.deliver(t, newBatch(t, "2", "two")); o.Err != nil {
		t.Errorf("second outcome is %v", o.Err)
	}
	if o := awaited(t, one); !errors.Is(o.Err, record.ErrNotDelivered) {
		t.Errorf("outcome is %+v, want that it is not delivered", o)
	}
	if diff := cmp.Diff([]string{value("two")}, contents(t, r.client, "logs", 0)); diff != "" {
		t.Errorf("log (-want +got):\n%s", diff)
	}
}

// One giant record among the requests of a group fails its own request only.
func TestGiantRecordFailsAlone(t *testing.T) {
	cluster := newFake(t, kfake.BrokerConfigs(map[string]string{"message.max.bytes": "5000"}))
	r := start(t, cluster.ListenAddrs(), "logs", config.Default().Producer)
	giant := strings.Repeat("g", 6000)
	batches := []*record.Batch{
		newBatch(t, "a", "a0", "a1", "a2"), newBatch(t, "b", "b0", giant, "b2"), newBatch(t, "c", "c0"),
	}
	r.source.put(batches...)
	r.finish(t)
	log := contents(t, r.client, "logs", 0)
	if got, want := checkOutcomes(t, batches, map[int32][]string{0: log}), (tally{acknowledged: 2, refused: 1}); got != want {
		t.Errorf("outcomes are %+v, want %+v", got, want)
	}
	if len(log) != 6 {
		t.Errorf("%d records are in Kafka, want all but the giant", len(log))
	}
	if o := outcome(t, batches[1]); !strings.Contains(o.Err.Error(), "record 1:") {
		t.Errorf("the client is told %q, which doesn't name the record", o.Err)
	}
}

func TestLeaderMovesUnderLoad(t *testing.T) {
	cluster := newFake(t, kfake.NumBrokers(3))
	r := start(t, cluster.ListenAddrs(), "logs", config.Default().Producer)
	var batches []*record.Batch
	for i := range 60 {
		b := newBatch(t, fmt.Sprint(i), fmt.Sprint("record ", i))
		batches = append(batches, b)
		r.source.put(b)
		if i%20 == 10 {
			if err := cluster.MoveTopicPartition("logs", 0, (cluster.LeaderFor("logs", 0)+1)%3); err != nil {
				t.Fatal(err)
			}
		}
	}
	r.finish(t)
	if got := checkOutcomes(t, batches, map[int32][]string{0: contents(t, r.client, "logs", 0)}); got.acknowledged != len(batches) {
		t.Errorf("outcomes are %+v, want %d acknowledged", got, len(batches))
	}
}

// The broker isn't there at first, comes, goes in the middle, and comes back
// with what it had on disk.
func TestBrokerComesAndGoes(t *testing.T) {
	dir := t.TempDir()
	up := func(port int) (cluster *kfake.Cluster) {
		eventually(t, "the port is free", func() bool { // others may use it for a moment
			var err error
			cluster, err = kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(1, "logs"), kfake.Ports(port), kfake.DataDir(dir), kfake.SyncWrites())
			return err == nil
		})
		t.Cleanup(cluster.Close)
		return cluster
	}
	cluster := up(0)
	address := cluster.ListenAddrs()[0]
	port, err := strconv.Atoi(address[strings.LastIndex(address, ":")+1:])
	if err != nil {
		t.Fatal(err)
	}
	cluster.Close()

	r := start(t, []string{address}, "logs", config.Default().Producer)
	var batches []*record.Batch
	put := func(from, to int) {
		for i := from; i < to; i++ {
			b := newBatch(t, fmt.Sprint(i), fmt.Sprintf("record %d", i))
			batches = append(batches, b)
			r.source.put(b)
		}
	}
	put(0, 10)
	cluster = up(port)
	if o := r.deliver(t, newBatch(t, "up", "up")); o.Err != nil {
		t.Fatal(o.Err)
	}
	cluster.Close()
	put(10, 20)
	up(port)
	put(20, 30)
	r.finish(t)
	log := contents(t, r.client, "logs", 0)
	log = append(log[:10:10], log[11:]...) // all but "up", which came after the first ten
	for _, b := range batches {
		if o := outcome(t, b); o.Err != nil {
			t.Errorf("batch %s: %v", b.ID, o.Err)
		}
	}
	var want []string
	for i := range 30 {
		want = append(want, value(fmt.Sprintf("record %d", i)))
	}
	if diff := cmp.Diff(want, log); diff != "" {
		t.Errorf("log (-want +got):\n%s", diff)
	}
}

// The hard deadline: what was sent and isn't answered is unknown.
func TestCancelledWhileTheBrokerHoldsTheAnswer(t *testing.T) {
	closed := make(chan struct{}) // after the cluster: it must not wake while it closes
	t.Cleanup(func() { close(closed) })
	cluster := newFake(t)
	r := start(t, cluster.ListenAddrs(), "logs", config.Default().Producer)
	held := make(chan struct{})
	cluster.ControlKey(int16(kmsg.Produce), func(kmsg.Request) (kmsg.Response, error, bool) {
		cluster.SleepControl(func() { close(held); <-closed })
		return nil, nil, false
	})
	b := newBatch(t, "1", "one")
	r.source.put(b)
	<-held
	if _, err := r.client.Topic(t.Context(), "logs"); err != nil { // the broker is past it and holds the answer
		t.Fatal(err)
	}
	r.stop()
	if err := <-r.done; !errors.Is(err, context.Canceled) {
		t.Errorf("Run: %v", err)
	}
	r.done <- nil
	if o := outcome(t, b); !errors.Is(o.Err, record.ErrOutcomeUnknown) {
		t.Errorf("outcome is %v", o.Err)
	}
	if got := testutil.ToFloat64(r.metrics.unknown); got != 1 {
		t.Errorf("%v records are counted as unknown", got)
	}
}

func TestRealBroker(t *testing.T) {
	servers := realBroker(t)
	topic := newTopic(t, servers, 3)
	r := start(t, servers, topic, config.Default().Producer)
	var batches []*record.Batch
	total := 0
	for i := range 500 {
		var texts []string
		for k := range 1 + i%40 {
			texts = append(texts, fmt.Sprintf("batch %d record %d", i, k))
		}
		total += len(texts)
		b := newBatch(t, fmt.Sprint(i), texts...)
		b.Received = time.Now()
		batches = append(batches, b)
		r.source.put(b)
	}
	r.finish(t)
	stored := map[string]int{}
	for p := range int32(3) {
		for offset, v := range contents(t, r.client, topic, p) {
			stored[fmt.Sprintf("%d/%d %s", p, offset, v)]++
		}
	}
	if len(stored) != total {
		t.Errorf("%d records are in Kafka, %d were sent", len(stored), total)
	}
	for _, b := range batches {
		o := outcome(t, b)
		if o.Err != nil {
			t.Fatal(o.Err)
		}
		i := 0
		for _, p := range o.Placements {
			for offset := p.FirstOffset; offset <= p.LastOffset; offset++ {
				if at := fmt.Sprintf("%d/%d %s", p.Partition, offset, recordsOf(b)[i]); stored[at] != 1 {
					t.Errorf("batch %s: record %d is not at %s", b.ID, i, at)
				}
				i++
			}
		}
		if i != len(recordsOf(b)) {
			t.Errorf("batch %s: %d of %d records are placed", b.ID, i, len(recordsOf(b)))
		}
	}
	if got := sum(t, r.metrics.retries); got != 0 {
		t.Errorf("%v retries", got)
	}
}
