package consumer_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/logpipeline/logpipeline/ingester/config"
	"github.com/logpipeline/logpipeline/ingester/signal"
)

// neverDue keeps a segment open until the partition is given away.
func neverDue(cfg *config.Config) { cfg.Segment.MaxAgeSeconds, cfg.Segment.MaxBytes = 3600, 1<<30 }

func appendedUpTo(p *process, offset int64) func() error {
	return func() error {
		if got := p.faults.appended.Load(); got != offset {
			return fmt.Errorf("appended up to %d, want %d", got, offset)
		}
		return nil
	}
}

func TestSignals(t *testing.T) {
	onEveryBroker(t, 2, func(t *testing.T, b *topic) {
		dir := t.TempDir()
		b.send(0, time.Now(), line(0, 0))
		b.sent[0]++
		p := start(b, dir)
		waitStored(b, dir)
		p.stop()
		b.send(1, time.Now(), "") // partition 1 will stop

		before := time.Now().Add(-time.Minute)
		p = start(b, dir, neverDue)
		b.produce(0, 10)
		eventually(t, "append", appendedUpTo(p, 11))
		eventually(t, "stop", stopped(p, "RecordUnstorable"))
		found, err := b.client.Topic(t.Context(), b.name)
		if err != nil {
			t.Fatal(err)
		}
		got := p.signals()
		want := signal.Consumer{
			Group: "logpipeline." + b.name, TopicID: found.ID, AppendedRecords: 10,
			Partitions: []signal.Partition{{SealedOffset: 1, NextOffset: 11}, {Partition: 1, Stopped: "RecordUnstorable"}},
		}
		if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(signal.Consumer{}, "MemberID", "Generation", "BusySeconds"), cmpopts.IgnoreFields(signal.Partition{}, "FirstUnsealed", "StoppedMessage")); diff != "" {
			t.Errorf("signals (-want +got):\n%s", diff)
		}
		if got.Generation < 0 || got.MemberID == "" || got.BusySeconds < 0 {
			t.Errorf("signals are %+v", got)
		}
		if message := got.Partitions[1].StoppedMessage; !strings.Contains(message, "RecordUnstorable") || !strings.Contains(message, b.name+"/1") {
			t.Errorf("partition 1 is stopped because %q", message)
		}
		if first := got.Partitions[0].FirstUnsealed; first == nil || first.Before(before) || first.After(time.Now().Add(time.Minute)) {
			t.Errorf("first record that is not sealed is of %v", first)
		}
		p.stop()
		want = signal.Consumer{Group: "logpipeline." + b.name, Generation: -1, TopicID: found.ID, AppendedRecords: 10, Partitions: []signal.Partition{}}
		if diff := cmp.Diff(want, p.signals(), cmpopts.IgnoreFields(signal.Consumer{}, "BusySeconds")); diff != "" {
			t.Errorf("signals after the end (-want +got):\n%s", diff)
		}
	})
}

// A member with a backlog is busy, for no longer than it lives.
func TestBusySeconds(t *testing.T) {
	onEveryBroker(t, 1, func(t *testing.T, b *topic) {
		dir := t.TempDir()
		b.produce(0, 3000)
		began := time.Now()
		p := start(b, dir, func(cfg *config.Config) { cfg.Consumer.FetchMaxBytes = 4 << 10 })
		waitStored(b, dir)
		var busy float64
		eventually(t, "be idle", func() error { // that it is shown follows the last seal
			before := busy
			if busy = p.signals().BusySeconds; busy != before {
				return fmt.Errorf("busy for %v s, and then for %v s", before, busy)
			}
			return nil
		})
		if most := time.Since(began).Seconds(); busy <= 0 || busy > most {
			t.Errorf("busy for %v s, want more than 0 and at most %v s", busy, most)
		}
	})
}

func TestRetentionAtRisk(t *testing.T) {
	onEveryBroker(t, 2, func(t *testing.T, b *topic) {
		b.configure("retention.ms", "3600000")
		dir := t.TempDir()
		b.send(0, time.Now().Add(-40*time.Minute), line(0, 0))
		p := start(b, dir, neverDue)
		eventually(t, "append", appendedUpTo(p, 1))
		const retention = "logpipeline_consumer_topic_retention_seconds"
		eventually(t, "read the retention", func() error {
			if p.metric(retention) == 0 {
				return errors.New("not read")
			}
			return nil
		})
		between := func(name string, least, most float64, labels ...string) {
			t.Helper()
			if got := p.metric("logpipeline_consumer_"+name, labels...); got < least || got > most {
				t.Errorf("%s %v is %v, want %v to %v", name, labels, got, least, most)
			}
		}
		between("topic_retention_seconds", 3600, 3600)
		between("delay_seconds", 2400, 2700, "0")
		between("delay_seconds", 0, 0, "1")
		between("oldest_unsealed_age_seconds", 2400, 2700)
		between("retention_at_risk_partitions", 1, 1)
		between("retention_left_seconds", 900, 1200)
		p.stop()
		between("oldest_unsealed_age_seconds", 0, 0)
		between("retention_at_risk_partitions", 0, 0)
	})
}
