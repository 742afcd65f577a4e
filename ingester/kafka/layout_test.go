package kafka

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/twmb/franz-go/pkg/kfake"
)

// newPatientClient reads the cluster's layout once, and again only when it is
// told to.
func newPatientClient(t testing.TB, cluster *kfake.Cluster) *Client {
	t.Helper()
	client := newClient(t, cluster.ListenAddrs(), "logs")
	client.transport.MetadataTTL = 1000 * time.Hour
	if _, _, err := client.Offsets(t.Context(), "logs", 0); err != nil {
		t.Fatal(err)
	}
	return client
}

// The broker that says that it doesn't lead any more is the last one that is
// asked in vain.
func TestLeaderMoves(t *testing.T) {
	for name, ask := range map[string]func(ctx context.Context, client *Client) error{
		"offsets": func(ctx context.Context, client *Client) error {
			_, _, err := client.Offsets(ctx, "logs", 0)
			return err
		},
		"fetch": func(ctx context.Context, client *Client) error {
			_, err := client.Fetch(ctx, &FetchRequest{Topic: "logs", LeaderEpoch: -1, MaxBytes: 1 << 20})
			return err
		},
		"produce": func(ctx context.Context, client *Client) error {
			var b BatchBuilder
			b.Append(time.Now().UnixMilli(), nil, []byte("{}"), nil)
			_, err := client.Produce(ctx, &ProduceRequest{Topic: "logs", Batch: b.Seal(NoProducer, -1), Acks: AcksOne, Timeout: time.Second})
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			cluster := newFake(t, kfake.NumBrokers(2))
			client := newPatientClient(t, cluster)
			for range 3 {
				if err := cluster.MoveTopicPartition("logs", 0, 1-cluster.LeaderFor("logs", 0)); err != nil {
					t.Fatal(err)
				}
				if err := ask(t.Context(), client); !errors.Is(err, NotLeader) {
					t.Fatalf("the former leader answered %v", err)
				}
				if err := ask(t.Context(), client); err != nil {
					t.Fatalf("asked again: %v", err)
				}
			}
		})
	}
}

// A leader that is gone with its broker is found where it is now, after a
// refused connection.
func TestLeaderIsGone(t *testing.T) {
	cluster := newFake(t, kfake.NumBrokers(3))
	client := newPatientClient(t, cluster)
	if err := cluster.RemoveNode(cluster.LeaderFor("logs", 0)); err != nil {
		t.Fatal(err)
	}
	failures := 0
	for ; failures < 4; failures++ { // at most one for each idle connection to the broker, and one that is refused
		_, _, err := client.Offsets(t.Context(), "logs", 0)
		if err == nil {
			return
		}
		t.Log(err)
	}
	t.Errorf("failed %d times", failures)
}

// A partition that came into being after the layout was read is known at the
// second attempt.
func TestNewPartition(t *testing.T) {
	cluster := newFake(t)
	client := newPatientClient(t, cluster)
	_, err := newClient(t, cluster.ListenAddrs()).Admin().CreatePartitions(t.Context(), &kafkago.CreatePartitionsRequest{
		Topics: []kafkago.TopicPartitionsConfig{{Name: "logs", Count: 5}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := client.Offsets(t.Context(), "logs", 4); !errors.Is(err, ErrUnreachable) {
		t.Errorf("got %v", err)
	}
	if _, _, err := client.Offsets(t.Context(), "logs", 4); err != nil {
		t.Errorf("asked again: %v", err)
	}
}

// However many exchanges fail, there is one reading, and then a pause.
func TestLayoutIsReadOnceForAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l layout
		var readings atomic.Int32
		read := func(context.Context) error {
			readings.Add(1)
			time.Sleep(time.Millisecond)
			return nil
		}
		began := time.Now()
		for round := range int32(3) {
			var all sync.WaitGroup
			for range 100 {
				l.suspect(NotLeader)
			}
			for range 100 {
				all.Go(func() { l.current(t.Context(), read) })
			}
			all.Wait()
			if readings.Load() != round+1 {
				t.Fatalf("%d readings after round %d", readings.Load(), round)
			}
		}
		if took := time.Since(began); took < 2*layoutPause || took > 3*layoutPause {
			t.Errorf("three readings took %v", took)
		}
		l.suspect(OffsetOutOfRange)
		l.current(t.Context(), read)
		if readings.Load() != 3 {
			t.Error("an answer that says nothing of the leader had the layout read")
		}
		l.suspect(NotLeader)
		l.current(t.Context(), func(context.Context) error { return errors.New("nobody there") })
		l.current(t.Context(), read)
		if readings.Load() != 4 {
			t.Error("after a reading that failed there was no other")
		}
	})
}
