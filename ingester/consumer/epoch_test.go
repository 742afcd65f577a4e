package consumer_test

import (
	"testing"

	"github.com/twmb/franz-go/pkg/kfake"
)

func newPair(t *testing.T) (*kfake.Cluster, *topic) {
	t.Helper()
	cluster, err := kfake.NewCluster(kfake.NumBrokers(2))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	return cluster, newTopic(t, cluster.ListenAddrs(), 1)
}

func moveLeader(t *testing.T, cluster *kfake.Cluster, b *topic) {
	t.Helper()
	if err := cluster.MoveTopicPartition(b.name, 0, 1-cluster.LeaderFor(b.name, 0)); err != nil {
		t.Fatal(err)
	}
}

func TestLeaderMovesAndTheLogIsTheSame(t *testing.T) {
	t.Parallel()
	cluster, b := newPair(t)
	dir := t.TempDir()
	p := start(b, dir)
	for range 5 {
		b.produce(0, 120)
		moveLeader(t, cluster, b)
		b.produce(0, 30)
	}
	waitStored(b, dir)
	if err := p.health(); err != nil {
		t.Error(err)
	}
}

// TestLogIsTruncatedAndGrowsAgain: of 50 records that are stored the next
// leader has 30, and 40 of its own.
func TestLogIsTruncatedAndGrowsAgain(t *testing.T) {
	t.Parallel()
	cluster, b := newPair(t)
	dir := t.TempDir()
	p := start(b, dir)
	b.produce(0, 50)
	waitStored(b, dir)
	truncate(cluster, b, 30)
	moveLeader(t, cluster, b)
	b.produce(0, 20)
	eventually(t, "stop", stopped(p, "LogTruncated"))
	b.sent[0] = 50
	expectExact(b, dir)
}

// TestChainEndsInAnEpochThatTheLogHasNotHad: it was stored from a log that
// the brokers have lost.
func TestChainEndsInAnEpochThatTheLogHasNotHad(t *testing.T) {
	onEveryBroker(t, 1, func(t *testing.T, b *topic) {
		dir := t.TempDir()
		p := start(b, dir)
		b.produce(0, 50)
		waitStored(b, dir)
		p.stop()
		b.produce(0, 50)
		lost := &faults{}
		lost.epoch.Store(1_000_000)
		eventually(t, "stop", stopped(startWith(b, dir, lost), "LogTruncated"))
		b.sent[0] = 50
		expectExact(b, dir)
	})
}
