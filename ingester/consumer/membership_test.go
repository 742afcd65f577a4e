package consumer_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	kafkago "github.com/segmentio/kafka-go"
	"go.uber.org/goleak"

	"github.com/logpipeline/logpipeline/ingester/config"
	"github.com/logpipeline/logpipeline/ingester/consumer"
	"github.com/logpipeline/logpipeline/ingester/consumer/group"
	"github.com/logpipeline/logpipeline/ingester/kafka"
	"github.com/logpipeline/logpipeline/ingester/segment"
)

// childEnv names the configuration of a consumer in a process of its own.
const childEnv = "CONSUMER_TEST_CONFIG"

func TestMain(m *testing.M) {
	if path := os.Getenv(childEnv); path != "" {
		fmt.Fprintln(os.Stderr, consumeUntilKilled(path))
		os.Exit(1)
	}
	goleak.VerifyTestMain(m)
}

func consumeUntilKilled(path string) error {
	cfg, err := config.ReadFile(path, config.Default())
	if err != nil {
		return err
	}
	client := kafka.New(cfg.Kafka, cfg.Topic)
	logger, reg := slog.New(slog.NewTextHandler(os.Stderr, nil)), prometheus.NewRegistry()
	directory, err := segment.OpenDirectory(cfg.DataDir, cfg.Segment, logger, reg)
	if err != nil {
		return err
	}
	open := func(ctx context.Context, topic, topicID string, partition int32, first func(context.Context) (int64, error)) (consumer.Chain, error) {
		chain, err := directory.Open(ctx, topic, topicID, partition, first)
		if err != nil {
			return nil, err
		}
		return chain, nil
	}
	c, err := consumer.New(cfg, client, open, logger, reg)
	if err != nil {
		return err
	}
	return c.Run(context.Background())
}

// startChild starts a consumer in a process of its own; kill is kill -9.
func startChild(b *topic, dir string, change func(*config.Config)) (kill func()) {
	b.t.Helper()
	cfg := configFor(b)
	cfg.DataDir = dir
	change(&cfg)
	document, err := cfg.Marshal()
	if err != nil {
		b.t.Fatal(err)
	}
	path := b.t.TempDir() + "/config.yaml"
	if err := os.WriteFile(path, document, 0o600); err != nil {
		b.t.Fatal(err)
	}
	var output bytes.Buffer
	command := exec.Command(os.Args[0])
	command.Env = append(os.Environ(), childEnv+"="+path)
	command.Stderr = &output
	if err := command.Start(); err != nil {
		b.t.Fatal(err)
	}
	killed := false
	kill = func() {
		if killed {
			return
		}
		killed = true
		_ = command.Process.Kill() // it fails only when the process has ended
		if err := command.Wait(); err == nil || !strings.Contains(err.Error(), "killed") {
			b.t.Errorf("the process ended by itself: %v\n%s", err, output.String())
		}
	}
	b.t.Cleanup(kill)
	return kill
}

func static(id string, sessionSeconds int) func(*config.Config) {
	return func(cfg *config.Config) {
		cfg.Consumer.InstanceID, cfg.Consumer.SessionTimeoutSeconds = id, sessionSeconds
	}
}

// TestContainerRestartsAfterAKill: the session would outlast the test by far,
// and the other member never has to stop for the one that is killed.
func TestContainerRestartsAfterAKill(t *testing.T) {
	t.Parallel()
	b := newTopic(t, realBroker(t), 4)
	dir := t.TempDir()
	other := start(b, dir, static("a", 1200))
	eventually(t, "take all", activePartitions(other, 4))
	kill := startChild(b, dir, static("b", 1200))
	eventually(t, "give a half away", activePartitions(other, 2))
	generation := other.signals().Generation
	for range 3 {
		for partition := range int32(4) {
			b.produce(partition, 300)
		}
		waitStored(b, dir)
		for partition := range int32(4) {
			b.produce(partition, 300) // some of it is unsealed at the kill
		}
		kill()
		expectProven(t, dir)
		kill = startChild(b, dir, static("b", 1200))
		waitStored(b, dir)
	}
	if now := other.signals().Generation; now != generation {
		t.Errorf("the group has come from generation %d to %d", generation, now)
	}
	kill()
}

// TestKilledForGood: the others take over when the session is over.
func TestKilledForGood(t *testing.T) {
	t.Parallel()
	b := newTopic(t, realBroker(t), 4)
	dir := t.TempDir()
	other := start(b, dir, static("", 6))
	eventually(t, "take all", activePartitions(other, 4))
	kill := startChild(b, dir, static("", 6))
	eventually(t, "give a half away", activePartitions(other, 2))
	for partition := range int32(4) {
		b.produce(partition, 300)
	}
	kill()
	eventually(t, "take all again", activePartitions(other, 4))
	waitStored(b, dir)
}

// TestTwoProcessesWithOneInstanceID: the younger has the partitions; the older
// ends with an error, and what it had not sealed is not its to store.
func TestTwoProcessesWithOneInstanceID(t *testing.T) {
	onEveryBroker(t, 2, func(t *testing.T, b *topic) {
		dir := t.TempDir()
		older := start(b, dir, static("pod", 60), neverDue)
		b.produce(0, 100)
		eventually(t, "append", appendedUpTo(older, 100))
		eventually(t, "commit where the chains begin", func() error {
			if n := older.metric("logpipeline_consumer_commits_total"); n != 2 {
				return fmt.Errorf("%v commits", n)
			}
			return nil
		})
		younger := start(b, dir, static("pod", 60))
		err := older.wait()
		if !errors.Is(err, group.ErrFenced) || !strings.Contains(err.Error(), "consumer.instanceID") {
			t.Errorf("the older ended with %v", err)
		}
		if sealed, commits := older.metric("logpipeline_consumer_sealed_segments_total"), older.metric("logpipeline_consumer_commits_total"); sealed != 0 || commits != 2 {
			t.Errorf("the older has sealed %v segments, and committed %v times", sealed, commits)
		}
		b.produce(1, 100)
		waitStored(b, dir)
		younger.stop()
		expectLeft(b)
	})
}

// expectLeft checks that nobody is in the group.
func expectLeft(b *topic) {
	b.t.Helper()
	response, err := newClient(b.t, b.servers).Admin().DescribeGroups(b.t.Context(), &kafkago.DescribeGroupsRequest{GroupIDs: []string{"logpipeline." + b.name}})
	if err != nil {
		b.t.Fatal(err)
	}
	if members := response.Groups[0].Members; len(members) > 0 {
		b.t.Errorf("still in the group: %v", members)
	}
}

// TestStaticMemberIsStopped: SIGTERM takes it out of the group, whatever its
// session, so that the others need not wait.
func TestStaticMemberIsStopped(t *testing.T) {
	onEveryBroker(t, 2, func(t *testing.T, b *topic) {
		dir := t.TempDir()
		one, other := start(b, dir, static("a", 290)), start(b, dir, static("b", 290))
		eventually(t, "share", activePartitions(one, 1))
		eventually(t, "share", activePartitions(other, 1))
		b.produce(0, 10)
		b.produce(1, 10)
		one.stop()
		eventually(t, "take all", activePartitions(other, 2))
		waitStored(b, dir)
		other.stop()
		expectLeft(b)
	})
}

// TestMemberThatWasForgottenBeginsAgain: what it had not sealed is fetched
// again, by whoever has the partition then.
func TestMemberThatWasForgottenBeginsAgain(t *testing.T) {
	onEveryBroker(t, 1, func(t *testing.T, b *topic) {
		dir := t.TempDir()
		p := start(b, dir, neverDue)
		b.produce(0, 100)
		eventually(t, "append", appendedUpTo(p, 100))
		before := p.signals()
		if err := b.client.Group(before.Group).Leave(t.Context(), kafka.Member{ID: before.MemberID}); err != nil {
			t.Fatal(err)
		}
		eventually(t, "begin again", func() error {
			now := p.signals()
			if now.MemberID == before.MemberID || len(now.Partitions) != 1 || now.Partitions[0].NextOffset != 100 {
				return fmt.Errorf("signals are %+v", now)
			}
			return nil
		})
		if sealed := p.metric("logpipeline_consumer_sealed_segments_total"); sealed != 0 {
			t.Errorf("%v segments were sealed by a member that is none", sealed)
		}
		p.stop()
		expectExact(b, dir)
	})
}

func TestGroupLooksAsKafkasToolsExpect(t *testing.T) {
	onEveryBroker(t, 3, func(t *testing.T, b *topic) {
		p := start(b, t.TempDir())
		eventually(t, "take all", activePartitions(p, 3))
		response, err := b.client.Admin().DescribeGroups(t.Context(), &kafkago.DescribeGroupsRequest{GroupIDs: []string{"logpipeline." + b.name}})
		if err != nil {
			t.Fatal(err)
		}
		g := response.Groups[0]
		if len(g.Members) != 1 || len(g.Members[0].MemberAssignments.Topics) != 1 {
			t.Fatalf("group is %+v", g)
		}
		m := g.Members[0]
		if m.MemberID != p.signals().MemberID || m.ClientID != "logpipeline" || m.ClientHost == "" || !slices.Equal(m.MemberMetadata.Topics, []string{b.name}) {
			t.Errorf("member is %+v", m)
		}
		if a := m.MemberAssignments.Topics[0]; a.Topic != b.name || !slices.Equal(a.Partitions, []int{0, 1, 2}) {
			t.Errorf("assigned is %+v", a)
		}
	})
}
