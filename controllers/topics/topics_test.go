package topics

import (
	"context"
	"fmt"
	"maps"
	"net"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// onEveryKafka runs a test on kfake, and on the broker that KAFKA_BOOTSTRAP
// names. Every test has a topic of its own.
func onEveryKafka(t *testing.T, test func(t *testing.T, cluster *Cluster, topic string)) {
	t.Run("kfake", func(t *testing.T) {
		fake, err := kfake.NewCluster(kfake.NumBrokers(3), kfake.DefaultNumPartitions(2))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(fake.Close)
		test(t, connectTo(t, fake.ListenAddrs()), newTopicName())
	})
	t.Run("broker", func(t *testing.T) {
		servers := os.Getenv("KAFKA_BOOTSTRAP")
		if servers == "" {
			t.Skip("KAFKA_BOOTSTRAP names no broker")
		}
		cluster, topic := connectTo(t, strings.Split(servers, ",")), newTopicName()
		t.Cleanup(func() { deleteLive(t, cluster, topic) })
		test(t, cluster, topic)
	})
}

func newTopicName() string { return "test.topics." + uuid.NewString() }

func connectTo(t *testing.T, servers []string) *Cluster {
	t.Helper()
	return connectAs(t, Connection{BootstrapServers: servers})
}

func connectAs(t *testing.T, connection Connection) *Cluster {
	t.Helper()
	pool := NewPool()
	t.Cleanup(pool.Close)
	cluster, err := pool.Cluster(t.Name(), connection)
	if err != nil {
		t.Fatal(err)
	}
	return cluster
}

func deleteLive(t *testing.T, cluster *Cluster, topic string) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	live, _, err := cluster.Ensure(ctx, Desired{Name: topic})
	if ReasonOf(err) == NotFound {
		return
	}
	if err == nil {
		err = cluster.Delete(ctx, topic, live.Identity)
	}
	if err != nil {
		t.Errorf("clean up: %v", err)
	}
}

// outcome is what Ensure gave, without the ids that differ from run to run.
type outcome struct {
	Partitions, ReplicationFactor int32
	Created                       bool
	Reason                        Reason
}

func ensure(t *testing.T, cluster *Cluster, desired Desired) (Topic, outcome, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	topic, created, err := cluster.Ensure(ctx, desired)
	o := outcome{Partitions: topic.Partitions, ReplicationFactor: topic.ReplicationFactor, Created: created}
	if err != nil {
		o.Reason = ReasonOf(err)
	}
	return topic, o, err
}

func mustEnsure(t *testing.T, cluster *Cluster, desired Desired, want outcome) Topic {
	t.Helper()
	topic, got, err := ensure(t, cluster, desired)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("Ensure(%+v): %v\n-want +got\n%s", desired, err, diff)
	}
	return topic
}

// mustDescribe returns some keys of a topic's configuration as it is now.
func mustDescribe(t *testing.T, cluster *Cluster, topic string, keys ...string) map[string]string {
	t.Helper()
	asked := Desired{Name: topic, Config: map[string]string{}}
	for _, key := range keys {
		asked.Config[key] = ""
	}
	seen, err := cluster.look(t.Context(), asked, cluster.now())
	if err == nil {
		err = seen.configErr
	}
	if err != nil {
		t.Fatal(err)
	}
	maps.DeleteFunc(seen.config, func(key, _ string) bool { return !slices.Contains(keys, key) })
	return seen.config
}

func TestEnsureCreatesTopicThenLeavesItAlone(t *testing.T) {
	onEveryKafka(t, func(t *testing.T, cluster *Cluster, name string) {
		desired := Desired{
			Name: name, Managed: true, Partitions: 3, ReplicationFactor: 1, MessageBytes: 2_000_000,
			Config: map[string]string{"retention.ms": "3600000"},
		}
		topic := mustEnsure(t, cluster, desired, outcome{Partitions: 3, ReplicationFactor: 1, Created: true})
		if topic.Name != name || topic.ClusterID == "" || uuid.Validate(topic.ID) != nil {
			t.Errorf("topic is %+v, without name, cluster id or topic id", topic)
		}
		want := map[string]string{"retention.ms": "3600000", "max.message.bytes": "2000000"}
		if diff := cmp.Diff(want, mustDescribe(t, cluster, name, "retention.ms", "max.message.bytes")); diff != "" {
			t.Errorf("configuration -want +got\n%s", diff)
		}
		desired.Known = topic.Identity
		again := mustEnsure(t, cluster, desired, outcome{Partitions: 3, ReplicationFactor: 1})
		if diff := cmp.Diff(topic, again); diff != "" {
			t.Errorf("a second Ensure sees another topic, -first +second\n%s", diff)
		}
	})
}

func TestEnsureLeavesCountsToTheBrokers(t *testing.T) {
	onEveryKafka(t, func(t *testing.T, cluster *Cluster, name string) {
		topic, got, err := ensure(t, cluster, Desired{Name: name, Managed: true})
		if err != nil || !got.Created || topic.Partitions < 1 || topic.ReplicationFactor < 1 {
			t.Errorf("got %+v, %v", got, err)
		}
	})
}

func TestEnsureGrowsAndNeverShrinks(t *testing.T) {
	onEveryKafka(t, func(t *testing.T, cluster *Cluster, name string) {
		desired := Desired{Name: name, Managed: true, Partitions: 2, ReplicationFactor: 1}
		mustEnsure(t, cluster, desired, outcome{Partitions: 2, ReplicationFactor: 1, Created: true})
		desired.Partitions = 5
		mustEnsure(t, cluster, desired, outcome{Partitions: 5, ReplicationFactor: 1})
		desired.Partitions = 4
		mustEnsure(t, cluster, desired, outcome{Partitions: 5, ReplicationFactor: 1, Reason: PartitionsBelowLive})
		desired.Partitions = 0
		mustEnsure(t, cluster, desired, outcome{Partitions: 5, ReplicationFactor: 1})
	})
}

func TestEnsureAltersConfiguredKeysOnly(t *testing.T) {
	onEveryKafka(t, func(t *testing.T, cluster *Cluster, name string) {
		desired := Desired{
			Name: name, Managed: true, Partitions: 1, ReplicationFactor: 1, MessageBytes: 2_000_000,
			Config: map[string]string{"retention.ms": "3600000", "cleanup.policy": "delete"},
		}
		first := outcome{Partitions: 1, ReplicationFactor: 1, Created: true}
		mustEnsure(t, cluster, desired, first)

		desired.Config = map[string]string{"retention.ms": "7200000"}
		desired.MessageBytes = 3_000_000
		mustEnsure(t, cluster, desired, outcome{Partitions: 1, ReplicationFactor: 1})
		want := map[string]string{"retention.ms": "7200000", "cleanup.policy": "delete", "max.message.bytes": "3000000"}
		keys := []string{"retention.ms", "cleanup.policy", "max.message.bytes"}
		if diff := cmp.Diff(want, mustDescribe(t, cluster, name, keys...)); diff != "" {
			t.Errorf("configuration -want +got\n%s", diff)
		}

		desired.MessageBytes = 1_000_000
		mustEnsure(t, cluster, desired, outcome{Partitions: 1, ReplicationFactor: 1})
		if diff := cmp.Diff(want, mustDescribe(t, cluster, name, keys...)); diff != "" {
			t.Errorf("max.message.bytes must not be lowered, -want +got\n%s", diff)
		}
	})
}

func TestEnsureOnlyLooksAtExistingTopic(t *testing.T) {
	onEveryKafka(t, func(t *testing.T, cluster *Cluster, name string) {
		mustEnsure(t, cluster, Desired{Name: name}, outcome{Reason: NotFound})
		created := mustEnsure(t, cluster, Desired{Name: name, Managed: true, Partitions: 2, ReplicationFactor: 1},
			outcome{Partitions: 2, ReplicationFactor: 1, Created: true})
		seen := mustEnsure(t, cluster, Desired{Name: name, Partitions: 7, MessageBytes: 5_000_000},
			outcome{Partitions: 2, ReplicationFactor: 1})
		if diff := cmp.Diff(created, seen); diff != "" {
			t.Errorf("-created +seen\n%s", diff)
		}
	})
}

func TestEnsureTellsRecreatedTopic(t *testing.T) {
	onEveryKafka(t, func(t *testing.T, cluster *Cluster, name string) {
		desired := Desired{Name: name, Managed: true, Partitions: 1, ReplicationFactor: 1}
		fresh := outcome{Partitions: 1, ReplicationFactor: 1, Created: true}
		old := mustEnsure(t, cluster, desired, fresh)
		if err := cluster.Delete(t.Context(), name, old.Identity); err != nil {
			t.Fatal(err)
		}
		known := desired
		known.Known = old.Identity
		mustEnsure(t, cluster, known, outcome{Reason: Recreated})

		recreated := mustEnsure(t, cluster, desired, fresh)
		if recreated.ID == old.ID {
			t.Fatalf("the new topic has the old one's id %s", old.ID)
		}
		mustEnsure(t, cluster, known, outcome{Partitions: 1, ReplicationFactor: 1, Reason: Recreated})

		elsewhere := desired
		elsewhere.Known = Identity{ClusterID: "another", ID: recreated.ID}
		mustEnsure(t, cluster, elsewhere, outcome{Partitions: 1, ReplicationFactor: 1, Reason: Recreated})
	})
}

func TestDeleteSparesAnotherTopicOfTheName(t *testing.T) {
	onEveryKafka(t, func(t *testing.T, cluster *Cluster, name string) {
		desired := Desired{Name: name, Managed: true, Partitions: 1, ReplicationFactor: 1}
		fresh := outcome{Partitions: 1, ReplicationFactor: 1, Created: true}
		old := mustEnsure(t, cluster, desired, fresh)
		for range 2 { // the second time it is gone already
			if err := cluster.Delete(t.Context(), name, old.Identity); err != nil {
				t.Fatal(err)
			}
		}
		recreated := mustEnsure(t, cluster, desired, fresh)
		if err := cluster.Delete(t.Context(), name, old.Identity); err != nil {
			t.Fatal(err)
		}
		if err := cluster.client.DeleteTopic(t.Context(), uuid.MustParse(old.ID)); err == nil {
			t.Error("the brokers deleted an id that is gone")
		}
		desired.Known = recreated.Identity
		mustEnsure(t, cluster, desired, outcome{Partitions: 1, ReplicationFactor: 1})
	})
}

func TestEnsureWithMoreReplicasThanBrokers(t *testing.T) {
	onEveryKafka(t, func(t *testing.T, cluster *Cluster, name string) {
		_, got, err := ensure(t, cluster, Desired{Name: name, Managed: true, ReplicationFactor: 7})
		if got.Reason != InvalidReplicationFactor || !strings.Contains(fmt.Sprint(err), "lower topic.replicationFactor") {
			t.Errorf("got %+v, %v", got, err)
		}
	})
}

// kfake takes any configuration, so only a broker can refuse one.
func TestEnsureNamesRefusedConfiguration(t *testing.T) {
	servers := os.Getenv("KAFKA_BOOTSTRAP")
	if servers == "" {
		t.Skip("KAFKA_BOOTSTRAP names no broker")
	}
	cluster, name := connectTo(t, strings.Split(servers, ",")), newTopicName()
	desired := Desired{Name: name, Managed: true, Partitions: 1, Config: map[string]string{"retention.ms": "long"}}
	_, got, err := ensure(t, cluster, desired)
	if got.Reason != InvalidConfig || !strings.Contains(err.Error(), "retention.ms") {
		t.Errorf("create: got %+v, %v", got, err)
	}
	t.Cleanup(func() { deleteLive(t, cluster, name) })
	desired.Config = nil
	mustEnsure(t, cluster, desired, outcome{Partitions: 1, ReplicationFactor: 1, Created: true})
	desired.Config = map[string]string{"no.such.key": "1"}
	_, got, err = ensure(t, cluster, desired)
	if got.Reason != InvalidConfig || !strings.Contains(err.Error(), "no.such.key") {
		t.Errorf("alter: got %+v, %v", got, err)
	}
}

func TestEnsureNamesRefusedRight(t *testing.T) {
	fake, err := kfake.NewCluster(kfake.NumBrokers(1))
	if err != nil {
		t.Fatal(err)
	}
	defer fake.Close()
	fake.ControlKey(int16(kmsg.CreateTopics), func(request kmsg.Request) (kmsg.Response, error, bool) {
		response := request.ResponseKind().(*kmsg.CreateTopicsResponse)
		for _, topic := range request.(*kmsg.CreateTopicsRequest).Topics {
			refused := kmsg.NewCreateTopicsResponseTopic()
			refused.Topic, refused.ErrorCode = topic.Topic, 29 // TOPIC_AUTHORIZATION_FAILED
			response.Topics = append(response.Topics, refused)
		}
		return response, nil, true
	})
	_, got, err := ensure(t, connectTo(t, fake.ListenAddrs()), Desired{Name: "secret", Managed: true})
	if got.Reason != NotAuthorized || !strings.Contains(fmt.Sprint(err), `the right Create on topic "secret"`) {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestEnsureWithoutBrokers(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	_, got, err := ensure(t, connectTo(t, []string{address}), Desired{Name: "x", Managed: true})
	if got.Reason != Unreachable || !strings.Contains(fmt.Sprint(err), "bootstrapServers") {
		t.Errorf("got %+v, %v", got, err)
	}
}
