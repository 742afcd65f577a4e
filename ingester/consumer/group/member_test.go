package group

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	kafkago "github.com/segmentio/kafka-go"
	"github.com/twmb/franz-go/pkg/kfake"
	"go.uber.org/goleak"

	"github.com/logpipeline/logpipeline/ingester/config"
	"github.com/logpipeline/logpipeline/ingester/kafka"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// onEveryBroker runs a test on the in-process broker and on the real one that
// KAFKA_BOOTSTRAP names, with a group of its own, and a topic of the same name.
func onEveryBroker(t *testing.T, test func(t *testing.T, servers []string, group string)) {
	t.Parallel()
	t.Run("kfake", func(t *testing.T) {
		t.Parallel()
		cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(4, "group"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(cluster.Close)
		test(t, cluster.ListenAddrs(), "group")
	})
	t.Run("real broker", func(t *testing.T) {
		t.Parallel()
		bootstrap := os.Getenv("KAFKA_BOOTSTRAP")
		if bootstrap == "" {
			t.Skip("KAFKA_BOOTSTRAP names no broker")
		}
		name := "test." + uuid.NewString()
		createTopic(t, strings.Split(bootstrap, ","), name)
		test(t, strings.Split(bootstrap, ","), name)
	})
}

func createTopic(t *testing.T, servers []string, name string) {
	t.Helper()
	client := kafka.New(config.Kafka{BootstrapServers: servers, ClientID: "test"})
	defer client.Close()
	response, err := client.Admin().CreateTopics(t.Context(), &kafkago.CreateTopicsRequest{
		Topics: []kafkago.TopicConfig{{Topic: name, NumPartitions: 4, ReplicationFactor: 1}},
	})
	if err == nil {
		err = response.Errors[name]
	}
	if err != nil {
		t.Fatal(err)
	}
}

// process is a member that joins again and again, until it is stopped.
type process struct {
	t           testing.TB
	client      *kafka.Client
	member      *Member
	generations chan *Generation              // as they begin; they go on until the process is told to
	hold        atomic.Pointer[chan struct{}] // unless it is nil, work ends with it at the earliest
	cancel      context.CancelFunc
	done        chan error
}

func start(t testing.TB, servers []string, group, instanceID string, session time.Duration, partitions int) *process {
	t.Helper()
	client := kafka.New(config.Kafka{BootstrapServers: servers, ClientID: "test"}, group)
	p := &process{t: t, client: client, generations: make(chan *Generation, 100), done: make(chan error, 1)}
	p.member = New(client, Config{
		Group: group, InstanceID: instanceID, Topic: group,
		SessionTimeout: session, HeartbeatInterval: 200 * time.Millisecond, RebalanceTimeout: 20 * time.Second,
	})
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	p.cancel = cancel
	go func() { p.done <- p.run(ctx, partitions) }()
	t.Cleanup(func() { p.end(); client.Close() })
	return p
}

func (p *process) run(ctx context.Context, partitions int) error {
	for ctx.Err() == nil {
		g, err := p.member.Join(ctx, partitions)
		switch {
		case errors.Is(err, ErrFenced):
			return err
		case err != nil:
			select {
			case <-ctx.Done():
			case <-time.After(50 * time.Millisecond): // the broker may just have begun to know groups
			}
			continue
		}
		p.generations <- g
		if err := g.Run(ctx, p.work); err != nil {
			return err
		}
	}
	return nil
}

func (p *process) work(ctx context.Context) {
	<-ctx.Done()
	if hold := p.hold.Load(); hold != nil {
		<-*hold
	}
}

// end ends the work, without leaving.
func (p *process) end() error {
	if p.cancel == nil {
		return nil
	}
	p.cancel()
	p.cancel = nil
	return p.wait()
}

func (p *process) wait() error {
	p.t.Helper()
	select {
	case err := <-p.done:
		p.cancel = nil
		return err
	case <-time.After(time.Minute):
		p.t.Fatal("the member did not end within a minute")
		return nil
	}
}

// has waits for a generation in which the member has so many partitions.
func (p *process) has(partitions int) *Generation {
	p.t.Helper()
	timeout := time.After(time.Minute)
	for {
		select {
		case g := <-p.generations:
			if len(g.Partitions) == partitions {
				return g
			}
		case <-timeout:
			p.t.Fatalf("no generation with %d partitions within a minute", partitions)
		}
	}
}

func TestMembersJoinAndLeave(t *testing.T) {
	onEveryBroker(t, func(t *testing.T, servers []string, group string) {
		one := start(t, servers, group, "", 30*time.Second, 4)
		if g := one.has(4); g.Members != 1 || g.ID() < 0 || g.MemberID() == "" {
			t.Errorf("generation %d of %d members for %q", g.ID(), g.Members, g.MemberID())
		}
		other := start(t, servers, group, "static", 30*time.Second, 4)
		g, mine := other.has(2), one.has(2)
		if all := append(slices.Clone(g.Partitions), mine.Partitions...); !slices.Equal(all, []int32{0, 1, 2, 3}) {
			t.Errorf("both together have %v", all)
		}
		expectDescribed(t, servers, group, map[string]int{g.MemberID(): 2, mine.MemberID(): 2})
		if err := mine.Commit(t.Context(), mine.Partitions[0], 7); err != nil {
			t.Errorf("commit: %v", err)
		}
		if err := other.end(); err != nil {
			t.Errorf("Run: %v", err)
		}
		for range 2 { // the second has nothing to do
			if err := other.member.Leave(t.Context()); err != nil {
				t.Errorf("Leave: %v", err)
			}
		}
		one.has(4)
		if err := mine.Commit(t.Context(), mine.Partitions[0], 8); !errors.Is(err, kafka.IllegalGeneration) {
			t.Errorf("commit of an old generation: %v", err)
		}
	})
}

// expectDescribed checks what Kafka's own tools show of a group.
func expectDescribed(t *testing.T, servers []string, group string, want map[string]int) {
	t.Helper()
	client := kafka.New(config.Kafka{BootstrapServers: servers, ClientID: "test"})
	defer client.Close()
	response, err := client.Admin().DescribeGroups(t.Context(), &kafkago.DescribeGroupsRequest{GroupIDs: []string{group}})
	if err != nil {
		t.Fatal(err)
	}
	g := response.Groups[0]
	got := map[string]int{}
	for _, m := range g.Members {
		for _, a := range m.MemberAssignments.Topics {
			got[m.MemberID] += len(a.Partitions)
		}
		if m.ClientHost == "" || m.ClientID != "test" || !slices.Equal(m.MemberMetadata.Topics, []string{group}) {
			t.Errorf("member is %+v", m)
		}
	}
	if fmt.Sprint(got) != fmt.Sprint(want) || g.GroupState != "Stable" {
		t.Errorf("%s group with %v, want %v", g.GroupState, got, want)
	}
}

// A static member that comes back has its partitions at once, and nobody else
// has to stop for that; whoever still has its id is fenced.
func TestStaticMemberComesBack(t *testing.T) {
	onEveryBroker(t, func(t *testing.T, servers []string, group string) {
		leader := start(t, servers, group, "a", 5*time.Minute, 4)
		leader.has(4)
		first := start(t, servers, group, "b", 5*time.Minute, 4)
		before, leaders := first.has(2), leader.has(2)
		for _, p := range []*process{first, leader} { // the leader may come back, too
			id := p.member.config.InstanceID
			again := start(t, servers, group, id, 5*time.Minute, 4)
			g := again.has(2)
			if g.ID() != before.ID() || g.MemberID() == before.MemberID() {
				t.Errorf("%s: generation %d as %q, before %d as %q", id, g.ID(), g.MemberID(), before.ID(), before.MemberID())
			}
			if err := p.wait(); !errors.Is(err, ErrFenced) || !strings.Contains(err.Error(), id) {
				t.Errorf("%s: the one before ended with %v", id, err)
			}
			if err := before.Commit(t.Context(), 2, 1); p == first && err == nil {
				t.Error("a fenced member has committed")
			}
			if err := p.member.Leave(t.Context()); err != nil {
				t.Errorf("a fenced member leaves: %v", err)
			}
		}
		if len(leader.generations) > 0 {
			t.Errorf("there was another generation after %d", leaders.ID())
		}
	})
}

func TestMemberIsKilled(t *testing.T) {
	onEveryBroker(t, func(t *testing.T, servers []string, group string) {
		one := start(t, servers, group, "", 6*time.Second, 4)
		one.has(4)
		killed := start(t, servers, group, "", 6*time.Second, 4)
		killed.has(2)
		one.has(2)
		if err := killed.end(); err != nil { // it never leaves, and sends no heartbeats
			t.Error(err)
		}
		one.has(4)
	})
}

// A member that is stopped while it joins leaves nothing behind for which the
// others would have to wait.
func TestMemberIsStoppedWhileItJoins(t *testing.T) {
	for name, instanceID := range map[string]string{"dynamic": "", "static": "b"} {
		t.Run(name, func(t *testing.T) {
			onEveryBroker(t, func(t *testing.T, servers []string, group string) {
				one := start(t, servers, group, "a", 5*time.Minute, 4)
				first := one.has(4)
				hold := make(chan struct{})
				one.hold.Store(&hold)
				other := start(t, servers, group, instanceID, 5*time.Minute, 4)
				client := kafka.New(config.Kafka{BootstrapServers: servers, ClientID: "test"})
				defer client.Close()
				for ctx, joining := t.Context(), false; !joining; { // the other is in the group, and waits for the first
					err := client.Group(group).Heartbeat(ctx, kafka.Member{ID: first.MemberID(), InstanceID: "a", Generation: first.ID()})
					if joining = errors.Is(err, kafka.RebalanceInProgress); err != nil && !joining {
						t.Fatal(err)
					}
				}
				if err := other.end(); err != nil {
					t.Error(err)
				}
				if err := other.member.Leave(t.Context()); err != nil {
					t.Errorf("Leave: %v", err)
				}
				close(hold)
				one.has(4)
			})
		})
	}
}

// A member that the coordinator has forgotten is told so, and joins again.
func TestMemberIsLost(t *testing.T) {
	onEveryBroker(t, func(t *testing.T, servers []string, group string) {
		p := start(t, servers, group, "", 30*time.Second, 4)
		g := p.has(4)
		thief := kafka.New(config.Kafka{BootstrapServers: servers, ClientID: "test"})
		defer thief.Close()
		if err := thief.Group(group).Leave(t.Context(), kafka.Member{ID: g.MemberID()}); err != nil {
			t.Fatal(err)
		}
		again := p.has(4)
		if again.MemberID() == g.MemberID() || !g.Lost() || again.Lost() {
			t.Errorf("%q and then %q, lost %v and %v", g.MemberID(), again.MemberID(), g.Lost(), again.Lost())
		}
		if err := g.Commit(t.Context(), 0, 1); !errors.Is(err, errLost) {
			t.Errorf("commit of a lost generation: %v", err)
		}
	})
}

func TestMorePartitionsAreSharedOutAgain(t *testing.T) {
	onEveryBroker(t, func(t *testing.T, servers []string, group string) {
		one := start(t, servers, group, "", 30*time.Second, 4)
		one.has(4)
		start(t, servers, group, "", 30*time.Second, 4).has(2)
		one.has(2)
		start(t, servers, group, "z", 30*time.Second, 9) // it knows of 9
		one.has(3)
	})
}

func TestCoordinatorIsGone(t *testing.T) {
	t.Parallel()
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1))
	if err != nil {
		t.Fatal(err)
	}
	p := start(t, cluster.ListenAddrs(), "group", "", 6*time.Second, 4)
	g := p.has(4)
	cluster.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for ticker := time.NewTicker(10 * time.Millisecond); !g.Lost(); {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			t.Fatal("nobody noticed that the session is over")
		}
	}
	if err := p.end(); err != nil {
		t.Error(err)
	}
	if err := p.member.Leave(ctx); !errors.Is(err, kafka.ErrUnreachable) {
		t.Errorf("Leave: %v", err)
	}
}

// Members of the release before, which were kafka-go's, share the group with
// ours during an update, whoever of them leads.
func TestMembersOfTheReleaseBefore(t *testing.T) {
	for name, oldLeads := range map[string]bool{"lead": true, "follow": false} {
		t.Run(name, func(t *testing.T) {
			onEveryBroker(t, func(t *testing.T, servers []string, group string) {
				var ours *process
				if !oldLeads {
					ours = start(t, servers, group, "", 30*time.Second, 4)
					ours.has(4)
				}
				old := joinAsBefore(t, servers, group)
				if oldLeads {
					awaitAssigned(t, old, 4)
					ours = start(t, servers, group, "", 30*time.Second, 4)
				}
				ours.has(2)
				awaitAssigned(t, old, 2)
			})
		})
	}
}

// joinAsBefore tells of each generation how many partitions kafka-go's member
// has in it.
func joinAsBefore(t *testing.T, servers []string, group string) <-chan int {
	t.Helper()
	old, err := kafkago.NewConsumerGroup(kafkago.ConsumerGroupConfig{
		ID: group, Brokers: servers, Topics: []string{group},
		HeartbeatInterval: 200 * time.Millisecond, JoinGroupBackoff: 50 * time.Millisecond,
	})
	if err != nil {
		t.Fatal(err)
	}
	assigned := make(chan int, 100)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			generation, err := old.Next(t.Context())
			switch {
			case errors.Is(err, kafkago.ErrGroupClosed), t.Context().Err() != nil:
				return
			case err == nil:
				assigned <- len(generation.Assignments[group])
			}
		}
	}()
	t.Cleanup(func() {
		if err := old.Close(); err != nil {
			t.Error(err)
		}
		<-ended
	})
	return assigned
}

func awaitAssigned(t *testing.T, assigned <-chan int, want int) {
	t.Helper()
	timeout := time.After(time.Minute)
	for {
		select {
		case n := <-assigned:
			if n == want {
				return
			}
		case <-timeout:
			t.Fatalf("no generation with %d partitions within a minute", want)
		}
	}
}
