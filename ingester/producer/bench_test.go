package producer

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	kafkago "github.com/segmentio/kafka-go"

	"github.com/logpipeline/logpipeline/ingester/config"
	"github.com/logpipeline/logpipeline/ingester/kafka"
	"github.com/logpipeline/logpipeline/ingester/record"
)

// The benchmarks write requests of 100 records of 255 bytes to four partitions
// of the broker that KAFKA_BOOTSTRAP names, and report records per second of
// this process's CPU time. The broker must be another process for that figure
// to mean anything.
const (
	benchRecords = 100
	benchBytes   = 255
)

func benchTopic(b *testing.B) ([]string, string) {
	bootstrap := os.Getenv("KAFKA_BOOTSTRAP")
	if bootstrap == "" {
		b.Skip("KAFKA_BOOTSTRAP names no broker")
	}
	servers := strings.Split(bootstrap, ",")
	return servers, newTopic(b, servers, 4)
}

func benchTexts() []string {
	texts := make([]string, benchRecords)
	for i := range texts {
		texts[i] = fmt.Sprintf("%0*d", benchBytes-len(value("")), i)
	}
	return texts
}

// cpu is the time that this process has computed.
func cpu() time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		panic(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

func report(b *testing.B, before time.Duration) {
	records := float64(b.N) * benchRecords
	b.ReportMetric(records/(cpu()-before).Seconds(), "records/cpu-s")
	b.ReportMetric(records/b.Elapsed().Seconds(), "records/s")
}

// prepared is a queue that holds all batches from the start, so that making them
// is not measured.
type prepared struct {
	left  int
	taken []*record.Batch
}

func (e *prepared) TakeOlder(_ time.Time, into []*record.Batch) ([]*record.Batch, error) {
	return into, nil
}

func (e *prepared) Take(_ context.Context, into []*record.Batch, maxRecords int, maxBytes int64, _ time.Duration, _ <-chan struct{}) ([]*record.Batch, error) {
	if e.left == 0 {
		return into, io.EOF
	}
	for ; e.left > 0 && maxRecords > 0 && maxBytes > 0; e.left-- {
		b := e.taken[len(e.taken)-e.left]
		into = append(into, b)
		maxRecords -= b.Len()
		maxBytes -= b.Bytes()
	}
	return into, nil
}

func BenchmarkProducer(b *testing.B) {
	for _, codec := range []config.Compression{config.CompressionNone, config.CompressionSnappy, config.CompressionLZ4, config.CompressionZstd, config.CompressionGzip} {
		b.Run(string(codec), func(b *testing.B) {
			cfg := config.Default().Producer
			cfg.Compression = codec
			benchProducer(b, cfg)
		})
	}
	b.Run("keyed", func(b *testing.B) {
		cfg := config.Default().Producer
		cfg.KeyField = "text"
		benchProducer(b, cfg)
	})
}

func benchProducer(b *testing.B, cfg config.Producer) {
	servers, topic := benchTopic(b)
	s := &prepared{left: b.N}
	texts := benchTexts()
	for range b.N {
		batch := newBatch(b, "bench", texts...)
		batch.Received = time.Now()
		s.taken = append(s.taken, batch)
	}
	client := kafka.New(config.Kafka{BootstrapServers: servers, ClientID: "bench"}, topic)
	defer client.Close()
	p, err := New(cfg, topic, client, s, Options{}, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	b.ResetTimer()
	before := cpu()
	if err := p.Run(b.Context()); err != nil {
		b.Fatal(err)
	}
	b.StopTimer()
	report(b, before)
	for _, batch := range s.taken {
		if o := outcome(b, batch); o.Err != nil {
			b.Fatal(o.Err)
		}
	}
}

// BenchmarkKafkaGoWriter is the yardstick: kafka-go's Writer, all replicas
// acknowledging, not idempotent, with the same batch size.
func BenchmarkKafkaGoWriter(b *testing.B) {
	servers, topic := benchTopic(b)
	transport := &kafkago.Transport{}
	defer transport.CloseIdleConnections()
	writer := &kafkago.Writer{
		Addr: kafkago.TCP(servers...), Topic: topic, RequiredAcks: kafkago.RequireAll, Transport: transport,
		BatchSize: 50_000, BatchBytes: 1_000_000, BatchTimeout: 5 * time.Millisecond, Balancer: &kafkago.RoundRobin{},
	}
	const together = 100 // requests a call, so that the Writer fills batches
	var messages []kafkago.Message
	for range together {
		for _, text := range benchTexts() {
			messages = append(messages, kafkago.Message{Value: []byte(value(text))})
		}
	}
	b.ReportAllocs()
	b.ResetTimer()
	before := cpu()
	for left := b.N; left > 0; left -= together {
		if err := writer.WriteMessages(b.Context(), messages[:min(together, left)*benchRecords]...); err != nil {
			b.Fatal(err)
		}
	}
	b.StopTimer()
	report(b, before)
	if err := writer.Close(); err != nil {
		b.Fatal(err)
	}
}
