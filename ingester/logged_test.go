package ingester

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/logpipeline/logpipeline/ingester/config"
	"github.com/logpipeline/logpipeline/ingester/kafka"
)

// onKafka is a configuration with a topic of its own on the real broker.
func onKafka(t *testing.T, partitions int) config.Config {
	t.Helper()
	bootstrap := os.Getenv("KAFKA_BOOTSTRAP")
	if bootstrap == "" {
		t.Skip("KAFKA_BOOTSTRAP is not set")
	}
	cfg := config.Default()
	cfg.DataDir = t.TempDir()
	cfg.Instance = "pod.a-0"
	cfg.Topic = fmt.Sprintf("intake-test-%d", time.Now().UnixNano())
	cfg.Kafka.BootstrapServers = strings.Split(bootstrap, ",")
	cfg.Listen, cfg.AdminListen = freeAddress(t), freeAddress(t)
	cfg.Drain = config.Drain{DelaySeconds: 0, TimeoutSeconds: 20}
	createTestTopic(t, cfg, partitions)
	return cfg
}

// place is where a record is.
type place struct {
	partition int32
	offset    int64
}

// topicLog is what a topic holds: the places of each record.
type topicLog struct {
	places  map[string][]place
	records map[place]string
}

func readLog(t *testing.T, cfg config.Config) topicLog {
	t.Helper()
	client := kafka.New(cfg.Kafka, cfg.Topic)
	defer client.Close()
	ends, err := logEnds(t.Context(), client, cfg.Topic)
	if err != nil {
		t.Fatal(err)
	}
	l := topicLog{places: map[string][]place{}, records: map[place]string{}}
	for partition, end := range ends {
		l.readPartition(t, client, cfg.Topic, partition, end)
	}
	return l
}

func (l topicLog) readPartition(t *testing.T, client *kafka.Client, topic string, partition int32, end int64) {
	t.Helper()
	f := &kafka.FetchRequest{Topic: topic, Partition: partition, LeaderEpoch: -1, MaxBytes: 8 << 20, MinBytes: 1, MaxWait: time.Second}
	for f.Offset < end {
		response, err := client.Fetch(t.Context(), f)
		if err != nil {
			t.Fatal(err)
		}
		var reader kafka.BatchReader
		reader.Reset(response.Records, f.Offset, response.Aborted)
		for batch, err := reader.Next(); !errors.Is(err, io.EOF); batch, err = reader.Next() {
			if err != nil {
				t.Fatal(err)
			}
			for r := (kafka.Record{}); batch.Next(&r); {
				at, value := place{partition, r.Offset}, string(r.Value)
				l.records[at], l.places[value] = value, append(l.places[value], at)
			}
			f.Offset = batch.NextOffset
		}
	}
}

// deadLetters are how many records of each batch are dead letters.
type deadLetters struct{ definite, unknown map[string]int }

// check compares the topic with what clients know: what was acknowledged is
// there once and, with a placement, at it; what was refused isn't; nothing is
// doubled. What lies in dead letters instead isn't there, or, where that is
// unknown, needn't be.
func (l topicLog) check(t *testing.T, letters deadLetters, loads ...*load) {
	t.Helper()
	taken := 0
	for _, load := range loads {
		for _, a := range load.attempts {
			found := 0
			for _, line := range a.lines {
				found += min(len(l.places[line]), 1)
				if n := len(l.places[line]); n > 1 {
					t.Errorf("batch %s (%d): %s is there %d times", a.receipt.Batch, a.status, line, n)
				}
			}
			switch {
			case a.status == 200 || a.status == 202:
				taken += len(a.lines)
				definite, unknown := letters.definite[a.receipt.Batch], letters.unknown[a.receipt.Batch]
				if missing := len(a.lines) - found; missing < definite || missing > definite+unknown {
					t.Errorf("batch %s (%d): %d of %d records are missing, %d are dead letters, and %d unknown ones", a.receipt.Batch, a.status, missing, len(a.lines), definite, unknown)
				}
				if a.status == 200 {
					l.checkPlacements(t, a)
				}
			case (a.refused || a.status >= 400 && a.status != 504) && found > 0 && len(a.receipt.Placements) == 0:
				t.Errorf("batch %s was refused (%d %s), but %d records are there", a.receipt.Batch, a.status, a.receipt.Type, found)
			}
		}
		t.Logf("%s: answers %v", load.name, load.statuses())
	}
	if taken == 0 {
		t.Error("nothing was acknowledged")
	}
}

// checkPlacements: the records are exactly at the receipt's placements, those of
// a partition in their order.
func (l topicLog) checkPlacements(t *testing.T, a *attempt) {
	t.Helper()
	index := map[string]int{}
	for i, line := range a.lines {
		index[line] = i
	}
	placed := 0
	for _, p := range a.receipt.Placements {
		last := -1
		for offset := p.FirstOffset; offset <= p.LastOffset; offset++ {
			i, ours := index[l.records[place{p.Partition, offset}]]
			if !ours || i <= last {
				t.Errorf("batch %s: at %d/%d is %q, after record %d", a.receipt.Batch, p.Partition, offset, l.records[place{p.Partition, offset}], last)
			}
			last = i
			placed++
		}
	}
	if placed != len(a.lines) {
		t.Errorf("batch %s: %d records are placed, want %d", a.receipt.Batch, placed, len(a.lines))
	}
}
