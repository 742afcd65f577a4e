package kafka

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/snappy"
	kafkago "github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/compress"
	"github.com/segmentio/kafka-go/protocol"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/logpipeline/logpipeline/ingester/record"
)

// A bomb is refused at the bound, whatever its codec.
func TestDecompressedSizeIsBounded(t *testing.T) {
	const limit = 1 << 20
	zeros := make([]byte, limit+1)
	for codec := compress.Gzip; codec <= compress.Zstd; codec++ {
		t.Run(codec.String(), func(t *testing.T) {
			var compressed bytes.Buffer
			w := codec.Codec().NewWriter(&compressed)
			if _, err := w.Write(zeros); err != nil {
				t.Fatal(err)
			}
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
			d := Decompressor{limit: limit}
			if _, err := d.decompress(int8(codec), compressed.Bytes()); err == nil {
				t.Errorf("%d bytes out of %d were accepted", len(d.buffer), compressed.Len())
			}
		})
	}
}

// kafka-go's encoder writes what BatchReader reads, in every codec.
func TestReadsWhatKafkaGoWrites(t *testing.T) {
	for codec := compress.None; codec <= compress.Zstd; codec++ {
		t.Run(codec.String(), func(t *testing.T) {
			at := time.UnixMilli(1_700_000_000_000)
			set := protocol.RecordSet{Version: 2, Attributes: protocol.Attributes(codec), Records: protocol.NewRecordReader(
				protocol.Record{Offset: 0, Time: at, Value: protocol.NewBytes([]byte("a"))},
				protocol.Record{Offset: 1, Time: at.Add(-time.Second), Key: protocol.NewBytes([]byte("key")), Value: protocol.NewBytes(bytes.Repeat([]byte("b"), 100_000))},
				protocol.Record{Offset: 2, Time: at.Add(time.Second), Headers: []protocol.Header{{Key: "k", Value: []byte("v")}}},
			)}
			var raw bytes.Buffer
			if _, err := set.WriteTo(&raw); err != nil {
				t.Fatal(err)
			}
			got, err := walk(raw.Bytes()[4:], 0)
			if err != nil {
				t.Fatal(err)
			}
			want := []walked{{0, 3, 3, []seen{
				{0, 1_700_000_000_000, "a"}, {1, 1_699_999_999_000, strings.Repeat("b", 100_000)}, {2, 1_700_000_001_000, "(null)"},
			}}}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// A broker takes what BatchBuilder writes, in every codec, and the clients of
// others read it: kafka-go and franz-go here. (Kafka's own, in Java, is made
// of the code that the broker checks every record with.)
func TestOthersReadWhatBuilderWrites(t *testing.T) {
	onEveryBroker(t, func(t *testing.T, client *Client, topic string) {
		var want []string
		for _, codec := range codecs {
			b := newBuilder(t, codec, 0)
			for i := range 2000 {
				value := fmt.Sprintf(`{"codec":%q,"padding":%q}`, codec, strings.Repeat("v", i))
				b.Append(time.Now().UnixMilli(), []byte("key"), []byte(value), []record.Header{{Key: "h", Value: []byte("w")}})
				want = append(want, "key h=w "+value)
				if b.Size() > 900_000 || i == 1999 {
					request := &ProduceRequest{Topic: topic, Partition: 1, Batch: b.Seal(NoProducer, -1), Timeout: 5 * time.Second}
					if _, err := client.Produce(t.Context(), request); err != nil {
						t.Fatalf("%s: %v", codec, err)
					}
					b.Reset()
				}
			}
		}
		if got := readByKafkaGo(t, client, topic, len(want)); !slices.Equal(want, got) {
			t.Errorf("kafka-go reads other records than the %d written", len(want))
		}
		if got := readByFranzGo(t, client, topic, len(want)); !slices.Equal(want, got) {
			t.Errorf("franz-go reads other records than the %d written", len(want))
		}
	})
}

func readByKafkaGo(t *testing.T, client *Client, topic string, n int) []string {
	t.Helper()
	reader := kafkago.NewReader(kafkago.ReaderConfig{Brokers: client.config.BootstrapServers, Topic: topic, Partition: 1, MaxBytes: 10 << 20, MaxWait: 100 * time.Millisecond})
	defer func() { _ = reader.Close() }()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	var got []string
	for range n {
		m, err := reader.ReadMessage(ctx)
		if err != nil {
			t.Fatalf("after %d records: %v", len(got), err)
		}
		got = append(got, fmt.Sprintf("%s %s=%s %s", m.Key, m.Headers[0].Key, m.Headers[0].Value, m.Value))
	}
	return got
}

func readByFranzGo(t *testing.T, client *Client, topic string, n int) []string {
	t.Helper()
	reader, err := kgo.NewClient(kgo.SeedBrokers(client.config.BootstrapServers...),
		kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: {1: kgo.NewOffset().At(0)}}))
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	var got []string
	for len(got) < n {
		fetches := reader.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			t.Fatalf("after %d records: %v", len(got), err)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			got = append(got, fmt.Sprintf("%s %s=%s %s", r.Key, r.Headers[0].Key, r.Headers[0].Value, r.Value))
		})
	}
	return got
}

// What kafka-go's Writer puts through a broker is read back, in every codec.
func TestReadsFromBrokerWhatWriterWrote(t *testing.T) {
	onEveryBroker(t, func(t *testing.T, client *Client, topic string) {
		var want []string
		for codec := compress.None; codec <= compress.Zstd; codec++ {
			writer := &kafkago.Writer{
				Addr: client.address, Transport: client.transport, Topic: topic, RequiredAcks: kafkago.RequireAll, BatchSize: 50,
				Compression: codec, Balancer: kafkago.BalancerFunc(func(kafkago.Message, ...int) int { return 1 }),
			}
			var messages []kafkago.Message
			for i := range 100 {
				value := codec.String() + strings.Repeat("x", i)
				messages = append(messages, kafkago.Message{Value: []byte(value)})
				want = append(want, value)
			}
			if err := writer.WriteMessages(t.Context(), messages...); err != nil {
				t.Fatal(err)
			}
			if err := writer.Close(); err != nil {
				t.Fatal(err)
			}
		}
		got := fetchAll(t, client, topic, 1, 0, int64(len(want)))
		for i := range got {
			_, got[i], _ = strings.Cut(got[i], ":")
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}

// Some clients leave the Java library's framing away.
func TestSnappyWithoutFraming(t *testing.T) {
	for _, size := range []int{0, 5, 100_000} {
		want := bytes.Repeat([]byte("s"), size)
		var d Decompressor
		got, err := d.decompress(codecSnappy, snappy.Encode(nil, want))
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%d bytes: %d bytes, %v", size, len(got), err)
		}
	}
}

// One block holds all fragments, and every decoder takes it for one.
func TestSnappyBlockOfSeveralFragments(t *testing.T) {
	lines := bytes.Join(logLines(1000), nil)
	noise := make([]byte, 3*snappyFragment)
	rand.NewChaCha8([32]byte{}).Read(noise)
	for _, records := range [][]byte{{}, lines[:5], lines[:snappyFragment-1], lines[:snappyFragment], lines[:snappyFragment+1], lines, noise} {
		const before = "header"
		block, found := bytes.CutPrefix(appendSnappy([]byte(before), records), []byte(before))
		got, err := snappy.Decode(nil, block)
		if !found || err != nil || !bytes.Equal(got, records) {
			t.Errorf("%d bytes: %d bytes, %v", len(records), len(got), err)
		}
		if len(records) == len(lines) && len(block) > len(lines)/2 {
			t.Errorf("%d bytes of logs are compressed to %d", len(lines), len(block))
		}
	}
}
