package main

import (
	"context"
	"net"
	"strconv"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/logpipeline/logpipeline/bench/process"
)

// TestAcknowledges: base offsets advance by what was taken, idempotent or not,
// compressed or not.
func TestAcknowledges(t *testing.T) {
	address := start(t)
	want := int64(0)
	for _, codec := range []kgo.CompressionCodec{kgo.NoCompression(), kgo.SnappyCompression(), kgo.ZstdCompression()} {
		client, err := kgo.NewClient(kgo.SeedBrokers(address), kgo.DefaultProduceTopic("logs"), kgo.ProducerBatchCompression(codec))
		if err != nil {
			t.Fatal(err)
		}
		for range 3 {
			for _, r := range client.ProduceSync(t.Context(), kgo.StringRecord("{}"), kgo.StringRecord("{}")) {
				if r.Err != nil || r.Record.Offset != want {
					t.Errorf("offset %d, %v; want %d", r.Record.Offset, r.Err, want)
				}
				want++
			}
		}
		client.Close()
	}
	writer := &kafka.Writer{Addr: kafka.TCP(address), Topic: "logs", RequiredAcks: kafka.RequireAll, BatchTimeout: time.Millisecond, Compression: kafka.Snappy}
	if err := writer.WriteMessages(t.Context(), kafka.Message{Value: []byte("{}")}); err != nil {
		t.Error(err)
	}
	if err := writer.Close(); err != nil {
		t.Error(err)
	}
	conn, err := kafka.DialLeader(t.Context(), "tcp", address, "logs", 0)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if end, err := conn.ReadLastOffset(); end != want+1 || err != nil {
		t.Errorf("log end %d, %v; want %d", end, err, want+1)
	}
}

func start(t *testing.T) (address string) {
	t.Helper()
	address, err := process.FreeAddress()
	if err != nil {
		t.Fatal(err)
	}
	_, text, _ := net.SplitHostPort(address)
	port, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- run(ctx, port, "logs", 1) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		conn, err := net.Dial("tcp", address)
		if err == nil {
			conn.Close()
			return address
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
}
