package topics

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	kafkago "github.com/segmentio/kafka-go"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// clock is moved by hand.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) Pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// counted is a fake Kafka that counts requests by their kind; those that
// kafka-go's transport makes of itself, every few seconds and about no topic,
// are left out.
type counted struct {
	*kfake.Cluster
	mu     sync.Mutex
	counts map[string]int
}

func newCounted(t *testing.T) *counted {
	t.Helper()
	fake, err := kfake.NewCluster(kfake.NumBrokers(3), kfake.DefaultNumPartitions(2))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(fake.Close)
	c := &counted{Cluster: fake, counts: map[string]int{}}
	fake.Control(func(request kmsg.Request) (kmsg.Response, error, bool) {
		fake.KeepControl()
		if m, ok := request.(*kmsg.MetadataRequest); ok && m.Version < metadataVersion || request.Key() == int16(kmsg.ApiVersions) {
			return nil, nil, false
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		c.counts[kmsg.NameForKey(request.Key())]++
		return nil, nil, false
	})
	return c
}

// take returns the counts since it was last called.
func (c *counted) take() map[string]int {
	c.mu.Lock()
	defer c.mu.Unlock()
	counts := c.counts
	c.counts = map[string]int{}
	return counts
}

func clocked(t *testing.T, servers []string) (*Cluster, *clock) {
	t.Helper()
	time := &clock{now: time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)}
	pool := NewPool()
	pool.now = time.Now
	t.Cleanup(pool.Close)
	return mustConnect(t, pool, "test", Connection{BootstrapServers: servers}), time
}

// Fifty pipelines that are left alone cost the brokers one description of all
// topics a minute, and not one each.
func TestTenResyncsOfFiftyPipelines(t *testing.T) {
	const pipelines, resyncs = 50, 10
	fake := newCounted(t)
	cluster, time := clocked(t, fake.ListenAddrs())
	desired := make([]Desired, pipelines)
	for i := range desired {
		desired[i] = Desired{
			Name: fmt.Sprintf("topic-%d", i), Managed: true, Partitions: 2, ReplicationFactor: 1, MessageBytes: 2_000_000,
			Config: map[string]string{"retention.ms": "3600000"},
		}
		desired[i].Known = mustEnsure(t, cluster, desired[i], outcome{Partitions: 2, ReplicationFactor: 1, Created: true}).Identity
	}
	fake.take()
	for range resyncs {
		time.Pass(describeEvery)
		for i := range desired {
			mustEnsure(t, cluster, desired[i], outcome{Partitions: 2, ReplicationFactor: 1})
		}
	}
	want := map[string]int{"Metadata": resyncs, "DescribeConfigs": resyncs}
	if diff := cmp.Diff(want, fake.take()); diff != "" {
		t.Errorf("requests of %d resyncs of %d pipelines, -want +got\n%s", resyncs, pipelines, diff)
	}
	desired[7].Anew = true
	time.Pass(1)
	mustEnsure(t, cluster, desired[7], outcome{Partitions: 2, ReplicationFactor: 1})
	if diff := cmp.Diff(map[string]int{"Metadata": 1, "DescribeConfigs": 1}, fake.take()); diff != "" {
		t.Errorf("what is asked for anew, -want +got\n%s", diff)
	}
	desired[7].Partitions = 3
	mustEnsure(t, cluster, desired[7], outcome{Partitions: 3, ReplicationFactor: 1})
	if counts := fake.take(); counts["CreatePartitions"] != 1 {
		t.Errorf("a spec that was changed between two resyncs led to %v", counts)
	}
}

// Callers who come while a round is under way share the one after it.
func TestCallersShareRounds(t *testing.T) {
	fake := newCounted(t)
	cluster, _ := clocked(t, fake.ListenAddrs())
	entered, leave := make(chan struct{}), make(chan struct{})
	enter := sync.OnceFunc(func() { close(entered) })
	fake.ControlKey(int16(kmsg.Metadata), func(request kmsg.Request) (kmsg.Response, error, bool) {
		if request.GetVersion() < metadataVersion {
			fake.KeepControl()
			return nil, nil, false
		}
		fake.SleepControl(func() { enter(); <-leave })
		return nil, nil, false
	})
	var callers sync.WaitGroup
	ask := func(name string) {
		callers.Go(func() {
			if _, _, err := cluster.Ensure(t.Context(), Desired{Name: name}); ReasonOf(err) != NotFound {
				t.Errorf("%s: %v", name, err)
			}
		})
	}
	ask("first")
	<-entered
	const late = 20
	for i := range late {
		ask(fmt.Sprintf("late-%d", i))
	}
	waitFor(t, "all to have joined the next round", func() bool {
		cluster.mu.Lock()
		defer cluster.mu.Unlock()
		return cluster.next != nil && len(cluster.next.joined) == late
	})
	close(leave)
	callers.Wait()
	if diff := cmp.Diff(map[string]int{"Metadata": 2}, fake.take()); diff != "" {
		t.Errorf("requests, -want +got\n%s", diff)
	}
}

// A caller who leads a round and has to go takes nobody with him.
func TestRoundOutlivesWhoLedIt(t *testing.T) {
	fake := newCounted(t)
	cluster, _ := clocked(t, fake.ListenAddrs())
	entered, leave := make(chan struct{}), make(chan struct{})
	enter := sync.OnceFunc(func() { close(entered) })
	fake.ControlKey(int16(kmsg.Metadata), func(request kmsg.Request) (kmsg.Response, error, bool) {
		if request.GetVersion() < metadataVersion {
			fake.KeepControl()
			return nil, nil, false
		}
		fake.SleepControl(func() { enter(); <-leave })
		return nil, nil, false
	})
	ctx, cancel := context.WithCancel(t.Context())
	ask := func(ctx context.Context, who string, want Reason) *sync.WaitGroup {
		var caller sync.WaitGroup
		caller.Go(func() {
			if _, _, err := cluster.Ensure(ctx, Desired{Name: "x"}); ReasonOf(err) != want {
				t.Errorf("who %s has %v, want %s", who, err, want)
			}
		})
		return &caller
	}
	leader := ask(ctx, "leads", Unreachable)
	<-entered
	follower := ask(t.Context(), "follows", NotFound)
	cancel()
	leader.Wait() // before there is an answer that it could take
	close(leave)
	follower.Wait()
}

// Brokers that don't answer hold up one caller, not each.
func TestFailureCountsForAllForAWhile(t *testing.T) {
	fake := newCounted(t)
	cluster, time := clocked(t, fake.ListenAddrs())
	mustEnsure(t, cluster, Desired{Name: "x", Managed: true}, outcome{Partitions: 2, ReplicationFactor: 3, Created: true})
	down := fake.ListenAddrs()
	fake.Close()
	time.Pass(describeEvery)
	_, _, first := cluster.Ensure(t.Context(), Desired{Name: "x"})
	_, _, second := cluster.Ensure(t.Context(), Desired{Name: "y"})
	if ReasonOf(first) != Unreachable || !errors.Is(second, first) {
		t.Errorf("of %v: first %v, second %v", down, first, second)
	}
	time.Pass(failurePause)
	if _, _, third := cluster.Ensure(t.Context(), Desired{Name: "x"}); ReasonOf(third) != Unreachable || errors.Is(third, first) {
		t.Errorf("after the pause the failure is still %v", third)
	}
}

// Whichever of several servers is asked first, a failure that lasts is told in the
// same words.
func TestFailureOfSeveralServersIsToldInTheSameWords(t *testing.T) {
	fake := newCounted(t)
	cluster, time := clocked(t, fake.ListenAddrs())
	fake.Close()
	var first error
	for range 20 {
		_, _, err := cluster.Ensure(t.Context(), Desired{Name: "x"})
		if ReasonOf(err) != Unreachable {
			t.Fatal(err)
		}
		if first == nil {
			first = err
		}
		if err.Error() != first.Error() || !errors.Is(err, syscall.ECONNREFUSED) {
			t.Fatalf("first %v\nthen %v", first, err)
		}
		time.Pass(failurePause)
	}
}

func TestBatchesAreBounded(t *testing.T) {
	tests := map[string]struct {
		partitions []int32
		want       []int // queries by batch
	}{
		"none":                            {nil, nil},
		"one that is beyond the bound":    {[]int32{100_000}, []int{1}},
		"small ones together":             {[]int32{1, 1, 1}, []int{3}},
		"large ones apart":                {[]int32{15_000, 1, 15_000}, []int{2, 1}},
		"as many topics as a request has": {make([]int32, 2*batchTopics+1), []int{batchTopics, batchTopics, 1}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			queries := make([]query, len(test.partitions))
			for i, n := range test.partitions {
				queries[i].partitions = n
			}
			var got []int
			for _, batch := range batchesOf(queries) {
				got = append(got, len(batch))
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
		})
	}
}

// What was asked for long ago is not described for ever.
func TestTopicsNobodyAsksForAreForgotten(t *testing.T) {
	fake := newCounted(t)
	cluster, time := clocked(t, fake.ListenAddrs())
	mustEnsure(t, cluster, Desired{Name: "left"}, outcome{Reason: NotFound})
	time.Pass(forgetAfter + 1)
	mustEnsure(t, cluster, Desired{Name: "asked"}, outcome{Reason: NotFound})
	if len(cluster.topics) != 1 {
		t.Errorf("%d topics are remembered, want 1", len(cluster.topics))
	}
}

// Only the brokers' default is known before, and it has three replicas.
func TestSaferConfigOfDefaultReplicas(t *testing.T) {
	fake := newCounted(t)
	cluster, _ := clocked(t, fake.ListenAddrs())
	topic := mustEnsure(t, cluster, Desired{Name: "x", Managed: true}, outcome{Partitions: 2, ReplicationFactor: 3, Created: true})
	want := map[string]string{minInsyncReplicas: "2", uncleanElection: "false"}
	if diff := cmp.Diff(want, mustDescribe(t, cluster, "x", minInsyncReplicas, uncleanElection)); diff != "" || topic.Weakness != "" {
		t.Errorf("a new topic is weak (%q), -want +got\n%s", topic.Weakness, diff)
	}
	// Somebody weakens it, which is theirs to do, and is told.
	err := cluster.setConfig(t.Context(), "x", map[string]string{minInsyncReplicas: "1"}, map[string]string{})
	if err != nil {
		t.Fatal(err)
	}
	weak := mustEnsure(t, cluster, Desired{Name: "x", Managed: true}, outcome{Partitions: 2, ReplicationFactor: 3})
	if !strings.Contains(weak.Weakness, "min.insync.replicas is 1") {
		t.Errorf("weakness is %q", weak.Weakness)
	}
}

func waitFor(t *testing.T, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !done(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited a minute for %s", what)
		}
	}
}

func FuzzParseMetadata(f *testing.F) {
	response := kmsg.NewPtrMetadataResponse()
	response.Version = metadataVersion
	topic := kmsg.NewMetadataResponseTopic()
	topic.Topic, topic.ErrorCode = kmsg.StringPtr("x"), 3
	partition := kmsg.NewMetadataResponseTopicPartition()
	partition.Replicas, partition.ISR = []int32{1, 2, 3}, []int32{1}
	topic.Partitions = append(topic.Partitions, partition)
	response.Topics = append(response.Topics, topic)
	response.Brokers = append(response.Brokers, kmsg.NewMetadataResponseBroker())
	whole := append([]byte{0}, response.AppendTo(nil)...) // after the header's tags
	seen, err := parseMetadata(whole)
	want := description{Topic: Topic{Identity: seen["x"].Identity, Partitions: 1, ReplicationFactor: 3}, refusal: kafkago.UnknownTopicOrPartition}
	if diff := cmp.Diff(want, seen["x"], cmp.AllowUnexported(description{})); diff != "" || err != nil {
		f.Fatalf("%v, -want +got\n%s", err, diff)
	}
	f.Add(whole)
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		if seen, err := parseMetadata(b); err == nil && len(seen) > len(b) {
			t.Errorf("%d topics in %d bytes", len(seen), len(b))
		}
	})
}
