package kafka

import (
	"errors"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
)

func appendRecords(t *testing.T, client *Client, topic string, values ...string) {
	t.Helper()
	var builder BatchBuilder
	for _, v := range values {
		builder.Append(time.Now().UnixMilli(), nil, []byte(v), nil)
	}
	if _, err := client.Produce(t.Context(), &ProduceRequest{
		Topic: topic, Timeout: 10 * time.Second, Batch: builder.Seal(NoProducer, -1),
	}); err != nil {
		t.Fatal(err)
	}
}

// epochOf is the epoch of the leader that wrote the record at an offset.
func epochOf(t *testing.T, client *Client, topic string, offset int64) int32 {
	t.Helper()
	response, err := client.Fetch(t.Context(), &FetchRequest{Topic: topic, Offset: offset, LeaderEpoch: -1, MaxBytes: 1, MinBytes: 1, MaxWait: 5 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	var reader BatchReader
	reader.Reset(response.Records, offset, nil)
	batch, err := reader.Next()
	if err != nil {
		t.Fatal(err)
	}
	if got := response.LeaderEpoch(); got != batch.LeaderEpoch || got < 0 {
		t.Fatalf("the response's epoch is %d, its first batch's %d", got, batch.LeaderEpoch)
	}
	return batch.LeaderEpoch
}

func TestEpochEndOfTheLatestLeader(t *testing.T) {
	onEveryBroker(t, func(t *testing.T, client *Client, topic string) {
		appendRecords(t, client, topic, "a", "b", "c")
		epoch := epochOf(t, client, topic, 0)
		for asked, want := range map[int32]int64{epoch: 3, epoch + 5: -1} {
			if got, err := client.EpochEnd(t.Context(), topic, 0, asked); err != nil || got != want {
				t.Errorf("end of epoch %d is %d, error %v, want %d", asked, got, err, want)
			}
		}
		if _, err := client.EpochEnd(t.Context(), topic, 99, epoch); err == nil {
			t.Error("there is no partition 99")
		}
	})
}

func TestEpochEndAfterTheLeaderMoved(t *testing.T) {
	cluster := newFake(t, kfake.NumBrokers(2))
	client := newPatientClient(t, cluster)
	appendRecords(t, client, "logs", "a", "b", "c")
	before := epochOf(t, client, "logs", 0)
	if err := cluster.MoveTopicPartition("logs", 0, 1-cluster.LeaderFor("logs", 0)); err != nil {
		t.Fatal(err)
	}
	if _, err := client.EpochEnd(t.Context(), "logs", 0, before); !errors.Is(err, NotLeader) {
		t.Fatalf("the old leader answers with %v, want %v", err, NotLeader)
	}
	appendRecords(t, client, "logs", "d", "e")
	after := epochOf(t, client, "logs", 3)
	if after <= before {
		t.Fatalf("the next leader's epoch is %d after %d", after, before)
	}
	for asked, want := range map[int32]int64{before: 3, after: 5} {
		if got, err := client.EpochEnd(t.Context(), "logs", 0, asked); err != nil || got != want {
			t.Errorf("end of epoch %d is %d, error %v, want %d", asked, got, err, want)
		}
	}
}
