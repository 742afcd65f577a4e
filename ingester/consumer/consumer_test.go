package consumer_test

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"testing"
	"time"

	kafkago "github.com/segmentio/kafka-go"

	"github.com/logpipeline/logpipeline/ingester/config"
	"github.com/logpipeline/logpipeline/ingester/segment"
)

func TestEverythingIsStoredOnceAcrossRestarts(t *testing.T) {
	onEveryBroker(t, 3, func(t *testing.T, b *topic) {
		dir := t.TempDir()
		for range 3 {
			p := start(b, dir)
			for partition := range int32(3) {
				b.produce(partition, 700)
			}
			waitStored(b, dir)
			for partition := range int32(3) {
				b.produce(partition, 50) // some of it will be unsealed at the stop
			}
			p.stop()
			expectNothingStaged(t, dir)
		}
		start(b, dir)
		report := waitStored(b, dir)
		for _, c := range report.Chains {
			if group := "logpipeline." + b.name; b.committed(group, int(c.Partition)) != c.NextOffset {
				t.Errorf("partition %d: %d committed, %d stored", c.Partition, b.committed(group, int(c.Partition)), c.NextOffset)
			}
		}
	})
}

func expectNothingStaged(t *testing.T, dir string) {
	t.Helper()
	if left, err := filepath.Glob(filepath.Join(dir, "staging", "*")); err != nil || len(left) > 0 {
		t.Errorf("left in staging: %v, error %v", left, err)
	}
}

func TestStopSealsCommitsAndLeavesTheGroup(t *testing.T) {
	onEveryBroker(t, 1, func(t *testing.T, b *topic) {
		dir := t.TempDir()
		p := start(b, dir, neverDue)
		b.produce(0, 10)
		eventually(t, "append", func() error {
			if p.faults.tries.Load() == 0 {
				return errors.New("nothing appended")
			}
			return nil
		})
		p.stop()
		expectExact(b, dir)
		if sealed := p.metric("logpipeline_consumer_sealed_segments_total", "shutdown"); sealed != 1 {
			t.Errorf("%v segments sealed by the shutdown, want 1", sealed)
		}
		group := "logpipeline." + b.name
		if got := b.committed(group, 0); got != 10 {
			t.Errorf("%d committed, want 10", got)
		}
		expectLeft(b)
		p = start(b, dir) // has nothing to store, and makes no segment
		eventually(t, "take the partition", func() error {
			if p.metric("logpipeline_consumer_active_partitions") != 1 {
				return errors.New("not active")
			}
			return nil
		})
		p.stop()
		if report := waitStored(b, dir); report.Segments != 1 {
			t.Errorf("%d segments, want 1", report.Segments)
		}
	})
}

func TestTwoConsumersJoinAndLeave(t *testing.T) {
	onEveryBroker(t, 4, func(t *testing.T, b *topic) {
		dir := t.TempDir()
		stopProducing := b.keepProducing(4)
		first := start(b, dir)
		eventually(t, "first takes all", activePartitions(first, 4))
		second := start(b, dir)
		eventually(t, "second takes a half", activePartitions(second, 2))
		eventually(t, "first keeps a half", activePartitions(first, 2))
		first.stop()
		eventually(t, "second takes all", activePartitions(second, 4))
		third := start(b, dir)
		eventually(t, "third takes a half", activePartitions(third, 2))
		second.kill()
		eventually(t, "third takes all", activePartitions(third, 4))
		stopProducing()
		waitStored(b, dir)
	})
}

func activePartitions(p *process, want float64) func() error {
	return func() error {
		if got := p.metric("logpipeline_consumer_active_partitions"); got != want {
			return fmt.Errorf("%v partitions are active, want %v", got, want)
		}
		return nil
	}
}

// TestTwoConsumersHoldOnePartition: two groups read the topic into one
// directory, which is worse than any rebalance.
func TestTwoConsumersHoldOnePartition(t *testing.T) {
	onEveryBroker(t, 2, func(t *testing.T, b *topic) {
		dir := t.TempDir()
		stopProducing := b.keepProducing(2)
		one := start(b, dir)
		other := start(b, dir, func(cfg *config.Config) { cfg.Consumer.Group = "other." + b.name })
		eventually(t, "lose a race", func() error {
			const lost = "logpipeline_segment_seal_races_lost_total"
			if one.metric(lost)+other.metric(lost) < 3 {
				return errors.New("fewer than 3 races")
			}
			return nil
		})
		stopProducing()
		waitStored(b, dir)
		one.stop()
		other.stop()
		expectExact(b, dir)
		total := 0.0
		for _, n := range b.sent {
			total += float64(n)
		}
		const stored = "logpipeline_segment_stored_records_total"
		if got := one.metric(stored) + other.metric(stored); got != total {
			t.Errorf("%v records counted, %v stored", got, total)
		}
	})
}

func TestKilledWithoutSealing(t *testing.T) {
	onEveryBroker(t, 2, func(t *testing.T, b *topic) {
		dir := t.TempDir()
		stopProducing := b.keepProducing(2)
		for range 5 {
			p := start(b, dir)
			eventually(t, "append", func() error {
				if p.faults.tries.Load() < 20 {
					return errors.New("too few appends")
				}
				return nil
			})
			p.kill()
			expectProven(t, dir)
		}
		stopProducing()
		start(b, dir)
		waitStored(b, dir)
	})
}

func expectProven(t *testing.T, dir string) {
	t.Helper()
	report, err := segment.Verify(t.Context(), dir)
	if err != nil || !report.Complete {
		t.Fatalf("verify: %v, error %v", report.Problems, err)
	}
}

func TestCompressedBatchesOfOtherProducers(t *testing.T) {
	onEveryBroker(t, 1, func(t *testing.T, b *topic) {
		dir := t.TempDir()
		start(b, dir)
		for _, codec := range []kafkago.Compression{kafkago.Gzip, kafkago.Snappy, kafkago.Lz4, kafkago.Zstd, 0} {
			w := &kafkago.Writer{
				Addr: kafkago.TCP(b.servers...), Topic: b.name, Compression: codec,
				RequiredAcks: kafkago.RequireAll, BatchTimeout: time.Millisecond, Transport: &kafkago.Transport{},
			}
			var messages []kafkago.Message
			for i := range 500 {
				messages = append(messages, kafkago.Message{Key: []byte("key"), Value: []byte(line(0, b.sent[0]+i)), Headers: []kafkago.Header{{Key: "h", Value: []byte("v")}}})
			}
			b.eventually("write "+codec.String(), func() error { return w.WriteMessages(t.Context(), messages...) })
			b.sent[0] += len(messages)
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
			w.Transport.(*kafkago.Transport).CloseIdleConnections()
		}
		waitStored(b, dir)
	})
}

func TestLaterHourSealsAndAnEarlierOneDoesNot(t *testing.T) {
	onEveryBroker(t, 1, func(t *testing.T, b *topic) {
		dir := t.TempDir()
		at := time.Now().UTC().Truncate(time.Hour).Add(-3 * time.Hour)
		for i, timestamp := range []time.Time{at.Add(-time.Millisecond), at, at.Add(-time.Second), at.Add(time.Hour), at} {
			b.send(0, timestamp, line(0, i))
			b.sent[0]++
		}
		start(b, dir, func(cfg *config.Config) { cfg.Segment.MaxBytes = 1 << 30 })
		waitStored(b, dir)
		hour := func(h int) string { return at.Add(time.Duration(h) * time.Hour).Format("hour=15") }
		want := []string{hour(-1), hour(0), hour(0), hour(1), hour(1)}
		eventually(t, "be in the hours", func() error { // what is linked is moved there next
			var got []string
			for l, err := range segment.Records(t.Context(), dir, b.name, 0) {
				if err != nil {
					return err
				}
				got = append(got, filepath.Base(filepath.Dir(l.File)))
			}
			if !slices.Equal(got, want) {
				return fmt.Errorf("stored in %v, want %v", got, want)
			}
			return nil
		})
	})
}

// TestNewPartitionIsReadFromItsFirstRecord: it has records before a consumer
// can have noticed it, and more come while two share it out.
func TestNewPartitionIsReadFromItsFirstRecord(t *testing.T) {
	onEveryBroker(t, 1, func(t *testing.T, b *topic) {
		dir := t.TempDir()
		first, second := start(b, dir), start(b, dir)
		b.produce(0, 10)
		waitStored(b, dir)
		b.grow(3)
		b.produce(1, 10)
		b.produce(2, 10)
		const active = "logpipeline_consumer_active_partitions"
		if n := first.metric(active) + second.metric(active); n > 1 {
			t.Logf("%v partitions were active before the records were there: this run shows little", n)
		}
		stop := b.keepProducing(3)
		eventually(t, "share three partitions out", func() error {
			if n := first.metric(active) + second.metric(active); n != 3 {
				return fmt.Errorf("%v partitions are active, want 3", n)
			}
			return nil
		})
		stop()
		for _, c := range waitStored(b, dir).Chains {
			if c.FirstOffset != 0 {
				t.Errorf("partition %d is stored from offset %d on", c.Partition, c.FirstOffset)
			}
		}
	})
}

func TestTopicIsCreatedLater(t *testing.T) {
	onEveryBroker(t, 0, func(t *testing.T, b *topic) {
		dir := t.TempDir()
		start(b, dir)
		b.create(2)
		b.produce(1, 10)
		waitStored(b, dir)
	})
}
