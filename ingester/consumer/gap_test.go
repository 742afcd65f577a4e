package consumer_test

import (
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/logpipeline/logpipeline/ingester/config"
	"github.com/logpipeline/logpipeline/ingester/segment"
)

func recordGaps(cfg *config.Config) { cfg.Consumer.OnLoss = config.OnLossRecordGap }

// expectLines checks that partition 0 holds these numbered records and no
// others, in order, and that the store is proven complete.
func expectLines(b *topic, dir string, runs ...[2]int) segment.Report {
	b.t.Helper()
	var want []string
	for _, run := range runs {
		for i := run[0]; i < run[1]; i++ {
			want = append(want, line(0, i))
		}
	}
	report := waitRecords(b, dir, len(want))
	var got []string
	for l, err := range segment.Records(b.t.Context(), dir, b.name, 0) {
		if err != nil {
			b.t.Fatal(err)
		}
		got = append(got, strings.TrimSuffix(string(l.Bytes), "\n"))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		b.t.Errorf("lines (-want +got):\n%s", diff)
	}
	return report
}

// waitRecords waits until so many records are stored, and proven.
func waitRecords(b *topic, dir string, records int) segment.Report {
	b.t.Helper()
	var report segment.Report
	b.eventually("store", func() (err error) {
		report, err = segment.Verify(b.t.Context(), dir)
		if err == nil && report.Records < int64(records) {
			err = fmt.Errorf("%d of %d records are stored", report.Records, records)
		}
		return err
	})
	if !report.Complete {
		b.t.Fatalf("verify: %v", report.Problems)
	}
	return report
}

// expectGaps checks the gaps of the only chain, and that their reasons begin
// with this one.
func expectGaps(t *testing.T, report segment.Report, reason string, want ...[2]int64) {
	t.Helper()
	var got [][2]int64
	for _, gap := range report.Chains[0].Gaps {
		got = append(got, [2]int64{gap.FirstOffset, gap.NextOffset})
		if !strings.HasPrefix(gap.Reason, reason) {
			t.Errorf("gap because: %s", gap.Reason)
		}
		if strings.Contains(gap.Reason, "kept in topic") && (strings.Contains(gap.Reason, "name a deadLetter.topic") || strings.Contains(gap.Reason, "mend the topic")) {
			t.Errorf("gap still asks for what was done: %s", gap.Reason)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("gaps (-want +got):\n%s", diff)
	}
}

func TestRetentionRemovedRecordsAndTheGapIsRecorded(t *testing.T) {
	onEveryBroker(t, 1, func(t *testing.T, b *topic) {
		dir := t.TempDir()
		p := start(b, dir, recordGaps)
		b.produce(0, 50)
		waitStored(b, dir)
		p.stop()
		b.produce(0, 50)
		b.deleteRecords(0, 70)
		p = start(b, dir, recordGaps)
		b.produce(0, 20)
		report := expectLines(b, dir, [2]int{0, 50}, [2]int{70, 120})
		expectGaps(t, report, "RetentionPassed", [2]int64{50, 70})
		if n := p.metric("logpipeline_consumer_gap_offsets_total", "RetentionPassed"); n != 20 {
			t.Errorf("%v offsets of gaps are counted, want 20", n)
		}
		if err := p.health(); err != nil {
			t.Error(err)
		}
	})
}

// What is appended and not sealed when the loss is noticed is stored before the
// gap.
func TestRetentionOvertakesAnOpenSegment(t *testing.T) {
	t.Parallel()
	cluster := newFake(t)
	b := newTopic(t, cluster.ListenAddrs(), 1)
	dir := t.TempDir()
	p := start(b, dir, recordGaps, neverDue)
	b.produce(0, 10)
	eventually(t, "append", appendedUpTo(p, 10))
	var away atomic.Bool
	away.Store(true)
	cluster.ControlKey(int16(kmsg.Fetch), func(kmsg.Request) (kmsg.Response, error, bool) {
		cluster.KeepControl()
		return nil, errors.New("connection lost"), away.Load()
	})
	eventually(t, "notice", func() error { // or a fetch under way might bring what comes next
		if p.metric("logpipeline_consumer_troubled_partitions", "kafka") != 1 {
			return errors.New("no trouble with Kafka")
		}
		return nil
	})
	b.produce(0, 20)
	b.deleteRecords(0, 25)
	away.Store(false)
	eventually(t, "record the gap", func() error {
		if p.metric("logpipeline_consumer_gaps_total", "RetentionPassed") != 1 {
			return errors.New("no gap")
		}
		return nil
	})
	eventually(t, "go on", appendedUpTo(p, 30))
	p.stop()
	expectGaps(t, expectLines(b, dir, [2]int{0, 10}, [2]int{25, 30}), "RetentionPassed", [2]int64{10, 25})
}

func TestRecreatedTopicIsNeverGoneOnWith(t *testing.T) {
	onEveryBroker(t, 1, func(t *testing.T, b *topic) {
		dir := t.TempDir()
		p := start(b, dir, recordGaps)
		b.produce(0, 50)
		waitStored(b, dir)
		b.delete()
		b.create(1)
		b.produce(0, 200)
		b.deleteRecords(0, 100)
		eventually(t, "stop", stopped(p, "TopicRecreated"))
		b.sent[0] = 50
		expectExact(b, dir)
	})
}

// TestTruncatedLogIsGoneOnWith: of 50 records that are stored the next leader
// has 30, and 40 of its own, of which 20 take the place of what it lacks. They
// cannot be stored under offsets that are taken; what follows them is.
func TestTruncatedLogIsGoneOnWith(t *testing.T) {
	t.Parallel()
	cluster, b := newPair(t)
	dir := t.TempDir()
	p := start(b, dir, recordGaps)
	b.produce(0, 50)
	waitStored(b, dir)
	truncate(cluster, b, 30)
	moveLeader(t, cluster, b)
	b.produce(0, 20)
	waitStored(b, dir)
	if n := p.metric("logpipeline_consumer_truncated_offsets_total"); n != 20 {
		t.Errorf("%v truncated offsets are counted, want 20", n)
	}
	if err := p.health(); err != nil {
		t.Error(err)
	}
}

// There is nothing yet that could be gone on with; there is when the log has
// grown beyond what is stored.
func TestTruncatedLogIsWaitedFor(t *testing.T) {
	onEveryBroker(t, 1, func(t *testing.T, b *topic) {
		dir := t.TempDir()
		b.storeAhead(dir, 100)
		b.produce(0, 10)
		p := start(b, dir, recordGaps)
		eventually(t, "wait", troubled(p, "kafka", 1))
		b.produce(0, 110)
		eventually(t, "go on", storedRecords(p, 20))
		if err := p.health(); err != nil {
			t.Error(err)
		}
	})
}

// truncate has the brokers say that every epoch before ends at an offset.
func truncate(cluster *kfake.Cluster, b *topic, end int64) {
	cluster.ControlKey(int16(kmsg.OffsetForLeaderEpoch), func(request kmsg.Request) (kmsg.Response, error, bool) {
		cluster.KeepControl()
		asked := request.(*kmsg.OffsetForLeaderEpochRequest).Topics[0].Partitions[0].LeaderEpoch
		response := request.ResponseKind().(*kmsg.OffsetForLeaderEpochResponse)
		response.Topics = []kmsg.OffsetForLeaderEpochResponseTopic{{Topic: b.name, Partitions: []kmsg.OffsetForLeaderEpochResponseTopicPartition{{
			LeaderEpoch: asked, EndOffset: end,
		}}}}
		return response, nil, true
	})
}
