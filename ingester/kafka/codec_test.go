package kafka

import (
	"bytes"
	"encoding/binary"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/snappy"
	kafkago "github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/compress"
	"github.com/segmentio/kafka-go/protocol"
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
			d := decompressor{limit: limit}
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

// kafka-go's decoder reads what BatchBuilder writes.
func TestKafkaGoReadsWhatBuilderWrites(t *testing.T) {
	var b BatchBuilder
	want := map[int64]string{}
	for i := range int64(300) {
		value := strings.Repeat("v", int(i))
		b.Append(1_700_000_000_000+i*1000*(i%3-1), []byte(value))
		want[i] = value
	}
	raw := b.Seal(ProducerID{ID: 1 << 40, Epoch: 5}, 1<<30)
	if len(raw) != b.Size() || b.Len() != 300 {
		t.Errorf("%d bytes of %d, %d records", len(raw), b.Size(), b.Len())
	}
	var set protocol.RecordSet
	if _, err := set.ReadFrom(bytes.NewReader(append(binary.BigEndian.AppendUint32(nil, uint32(len(raw))), raw...))); err != nil {
		t.Fatal(err)
	}
	got := map[int64]string{}
	for {
		r, err := set.Records.ReadRecord()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		value, err := protocol.ReadAll(r.Value)
		if err != nil {
			t.Fatal(err)
		}
		if at := 1_700_000_000_000 + r.Offset*1000*(r.Offset%3-1); r.Time.UnixMilli() != at {
			t.Errorf("record %d is of %d, want %d", r.Offset, r.Time.UnixMilli(), at)
		}
		got[r.Offset] = string(value)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
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
		var d decompressor
		got, err := d.decompress(codecSnappy, snappy.Encode(nil, want))
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%d bytes: %d bytes, %v", size, len(got), err)
		}
	}
}
