package records

import (
	"testing"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/twmb/franz-go/pkg/kfake"
)

func TestATopicIsFilledEvenlyWithTheRecords(t *testing.T) {
	const n, partitions = 1003, 4
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(partitions, "logs"))
	if err != nil {
		t.Fatal(err)
	}
	defer cluster.Close()
	topic := Topic{Brokers: cluster.ListenAddrs()[0], Name: "logs", Partitions: partitions, Codec: "lz4", BatchRecords: 10}
	bytes, err := topic.Fill(t.Context(), 7, n)
	if err != nil {
		t.Fatal(err)
	}
	var read int64
	lines := Lines(7, n)
	for p := range partitions {
		reader := kafka.NewReader(kafka.ReaderConfig{Brokers: cluster.ListenAddrs(), Topic: "logs", Partition: p, MaxWait: 100 * time.Millisecond})
		for i := p; i < n; i += partitions {
			m, err := reader.ReadMessage(t.Context())
			if err != nil || string(m.Value) != string(lines[i]) {
				t.Fatalf("partition %d: %q, %v; want %q", p, m.Value, err, lines[i])
			}
			read += int64(len(m.Value) + 1)
		}
		if lag, err := reader.ReadLag(t.Context()); lag != 0 || err != nil {
			t.Errorf("partition %d: %d records too many, %v", p, lag, err)
		}
		_ = reader.Close()
	}
	if read != bytes {
		t.Errorf("%d bytes, but Fill returned %d", read, bytes)
	}
}

func TestFillNamesWhatIsWrong(t *testing.T) {
	if _, err := (Topic{Codec: "rar"}).Fill(t.Context(), 1, 1); err == nil {
		t.Error("no error for a codec that there isn't")
	}
}
