package consumer_test

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	kafkago "github.com/segmentio/kafka-go"

	"github.com/logpipeline/logpipeline/ingester/config"
)

const (
	benchPartitions = 4
	benchRecords    = 1_000_000
)

// BenchmarkTopicToFiles stores a topic of 1,000,000 records of 255 bytes, in
// uncompressed batches of 1000, from a real broker: by the consumer into
// sealed, fsynced segments, and by kafka-go's Reader into one file per
// partition, which is neither synced nor exact. CPU is this process's.
func BenchmarkTopicToFiles(b *testing.B) {
	topic := newTopic(b, realBroker(b), benchPartitions)
	fill(topic)
	b.Run("consumer", func(b *testing.B) {
		measure(b, func() { storeAll(b, topic) })
	})
	b.Run("kafka-go Reader", func(b *testing.B) {
		measure(b, func() { readAll(b, topic) })
	})
}

func fill(topic *topic) {
	value := `{"message":"` + strings.Repeat("x", 255-14) + `"}`
	values := make([]string, 1000)
	for i := range values {
		values[i] = value
	}
	for i := range benchRecords / len(values) {
		topic.send(int32(i%benchPartitions), time.Now(), values...)
	}
}

func measure(b *testing.B, storeOnce func()) {
	before := cpuSeconds(b)
	for b.Loop() {
		storeOnce()
	}
	b.ReportMetric(float64(b.N)*benchRecords/(cpuSeconds(b)-before), "records/cpu-s")
}

func cpuSeconds(b *testing.B) float64 {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano()).Seconds()
}

func storeAll(b *testing.B, topic *topic) {
	b.Helper()
	topic.t = b
	p := start(topic, b.TempDir(), func(cfg *config.Config) {
		cfg.Segment = config.Default().Segment
		cfg.Segment.MaxAgeSeconds = 1
		cfg.Consumer.Group = fmt.Sprint("bench.", time.Now().UnixNano())
	})
	eventually(b, "store", func() error {
		if p.metric("logpipeline_segment_stored_records_total") < benchRecords {
			return errors.New("not all")
		}
		return nil
	})
	p.stop()
}

func readAll(b *testing.B, topic *topic) {
	b.Helper()
	for partition := range benchPartitions {
		f, err := os.Create(filepath.Join(b.TempDir(), "partition.ndjson"))
		if err != nil {
			b.Fatal(err)
		}
		r := kafkago.NewReader(kafkago.ReaderConfig{Brokers: topic.servers, Topic: topic.name, Partition: partition, MinBytes: 1, MaxBytes: 4 << 20, MaxWait: 500 * time.Millisecond})
		w := bufio.NewWriterSize(f, 256<<10)
		for range benchRecords / benchPartitions {
			m, err := r.ReadMessage(b.Context())
			if err != nil {
				b.Fatal(err)
			}
			if _, err := w.Write(append(m.Value, '\n')); err != nil {
				b.Fatal(err)
			}
		}
		if err := errors.Join(w.Flush(), f.Close(), r.Close()); err != nil {
			b.Fatal(err)
		}
	}
}
