package kafka

import (
	"context"
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

func TestFindBatch(t *testing.T) {
	onEveryBroker(t, func(t *testing.T, client *Client, topic string) {
		ours, theirs := newProducerID(t, client), newProducerID(t, client)
		raised := ProducerID{ID: ours.ID, Epoch: ours.Epoch + 1}
		builder := newBuilder(t, "zstd", 0)
		produce := func(producer ProducerID, sequence int32, records int, wantOffset int64) {
			t.Helper()
			builder.Reset()
			for range records {
				builder.Append(time.Now().UnixMilli(), nil, []byte(`{"a":"record"}`), nil)
			}
			offset, err := client.Produce(t.Context(), &ProduceRequest{Topic: topic, Partition: 1, Batch: builder.Seal(producer, sequence), Timeout: 5 * time.Second})
			if offset != wantOffset || err != nil {
				t.Fatalf("offset %d, %v; want %d", offset, err, wantOffset)
			}
		}
		produce(ours, 0, 10, 0)
		produce(theirs, 0, 5, 10)
		produce(ours, 10, 3, 15)
		produce(raised, 0, 1, 18)

		for name, tc := range map[string]struct {
			from, to int64
			producer ProducerID
			sequence int32
			offset   int64
			found    bool
		}{
			"the first of all":                   {0, 19, ours, 0, 0, true},
			"behind others'":                     {10, 18, ours, 10, 15, true},
			"in the middle of a batch":           {0, 19, ours, 12, 17, true},
			"up to the end, wherever that is":    {10, -1, ours, 10, 15, true},
			"from before the first offset":       {-1, 19, raised, 0, 18, true},
			"a sequence that nobody has used":    {0, 19, ours, 13, 0, false},
			"an epoch that nobody has used":      {0, 19, ProducerID{ours.ID, ours.Epoch + 2}, 0, 0, false},
			"a producer that nobody is":          {0, 19, ProducerID{ours.ID + 1000, 0}, 0, 0, false},
			"after the range":                    {0, 15, ours, 10, 0, false},
			"before the range":                   {10, 19, ours, 0, 0, false},
			"begun before the range, in it":      {5, 19, ours, 0, 0, true},
			"an empty range":                     {7, 7, ours, 0, 0, false},
			"nothing behind the end to look at":  {19, -1, ours, 0, 0, false},
			"in one that the range ends amidst":  {0, 16, ours, 12, 17, true},
			"a raised epoch is not the old one":  {18, 19, ours, 0, 0, false},
			"of another producer, same sequence": {10, 15, theirs, 0, 10, true},
		} {
			offset, found, err := client.FindBatch(t.Context(), topic, 1, tc.from, tc.to, tc.producer, tc.sequence)
			if offset != tc.offset || found != tc.found || err != nil {
				t.Errorf("%s: offset %d, found %t, %v; want %d, %t", name, offset, found, err, tc.offset, tc.found)
			}
		}
		if _, _, err := client.FindBatch(t.Context(), topic, 1, 0, 1000, ours, 13); !errors.Is(err, ErrSearchUndecided) {
			t.Errorf("up to an offset that isn't there yet: %v", err)
		}
		if _, _, err := client.FindBatch(t.Context(), topic, 1, 1000, -1, ours, 0); !errors.Is(err, OffsetOutOfRange) {
			t.Errorf("from an offset that isn't there: %v", err)
		}

		deleteRecords(t, client, topic, 1, 15)
		if _, _, err := client.FindBatch(t.Context(), topic, 1, 0, 19, theirs, 0); !errors.Is(err, ErrSearchUndecided) || !strings.Contains(err.Error(), "begins at offset 15") {
			t.Errorf("what may be among the deleted: %v", err)
		}
		if offset, found, err := client.FindBatch(t.Context(), topic, 1, 0, 19, ours, 10); offset != 15 || !found || err != nil {
			t.Errorf("what is there, although some is deleted: offset %d, found %t, %v", offset, found, err)
		}
		if _, found, err := client.FindBatch(t.Context(), topic, 1, 15, 19, theirs, 0); found || err != nil {
			t.Errorf("where nothing is deleted: found %t, %v", found, err)
		}
	})
}

func deleteRecords(t *testing.T, client *Client, topic string, partition int32, before int64) {
	t.Helper()
	admin, err := kgo.NewClient(kgo.SeedBrokers(client.config.BootstrapServers...))
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close()
	p := kmsg.NewDeleteRecordsRequestTopicPartition()
	p.Partition, p.Offset = partition, before
	in := kmsg.NewDeleteRecordsRequestTopic()
	in.Topic, in.Partitions = topic, []kmsg.DeleteRecordsRequestTopicPartition{p}
	request := kmsg.NewPtrDeleteRecordsRequest()
	request.Topics = []kmsg.DeleteRecordsRequestTopic{in}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	response, err := request.RequestWith(ctx, admin)
	if err != nil || response.Topics[0].Partitions[0].ErrorCode != 0 {
		t.Fatalf("delete records: %v, %+v", err, response)
	}
}

// Sequences go on with 0 after the largest.
func TestPositionOfSequenceThatWrapped(t *testing.T) {
	p := ProducerID{ID: 1}
	b := RecordBatch{BaseOffset: 100, NextOffset: 110, Producer: p, Sequence: math.MaxInt32 - 3}
	for sequence, want := range map[int32]int64{math.MaxInt32 - 3: 100, math.MaxInt32: 103, 0: 104, 5: 109} {
		if at, holds := b.position(p, sequence); at != want || !holds {
			t.Errorf("sequence %d: offset %d, %t; want %d", sequence, at, holds, want)
		}
	}
	for _, sequence := range []int32{6, math.MaxInt32 - 4, -1} {
		if at, holds := b.position(p, sequence); holds {
			t.Errorf("sequence %d is said to be at %d", sequence, at)
		}
	}
	if _, holds := (&RecordBatch{NextOffset: 9, Producer: NoProducer, Sequence: -1}).position(NoProducer, -1); holds {
		t.Error("a batch without numbers was recognised")
	}
}

// What takes too long is undecided, not an outage.
func TestFindBatchIsBounded(t *testing.T) {
	s := search{read: searchMaxBytes + 1, to: 10}
	if _, _, err := s.step(t.Context()); !errors.Is(err, ErrSearchUndecided) {
		t.Errorf("got %v", err)
	}
}
