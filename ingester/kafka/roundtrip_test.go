package kafka

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/logpipeline/logpipeline/ingester/config"
	"github.com/logpipeline/logpipeline/ingester/record"
)

var codecs = []config.Compression{
	config.CompressionNone, config.CompressionGzip, config.CompressionSnappy, config.CompressionLZ4, config.CompressionZstd,
}

// kept is a record as it was appended or read.
type kept struct {
	Timestamp  int64
	Key, Value []byte
	Headers    []record.Header
}

func (k kept) appendTo(b *BatchBuilder) { b.Append(k.Timestamp, k.Key, k.Value, k.Headers) }

// readBack reads the records of one batch.
func readBack(t testing.TB, raw []byte) []kept {
	t.Helper()
	var reader BatchReader
	reader.Reset(raw, 0, nil)
	batch, err := reader.Next()
	if err != nil {
		t.Fatal(err)
	}
	var got []kept
	for r := (Record{}); batch.Next(&r); {
		headers, err := r.Headers(nil)
		if err != nil {
			t.Fatal(err)
		}
		for i := range headers {
			headers[i].Value = bytes.Clone(headers[i].Value)
		}
		got = append(got, kept{r.Timestamp, bytes.Clone(r.Key), bytes.Clone(r.Value), headers})
	}
	if batch.Err() != nil {
		t.Fatal(batch.Err())
	}
	return got
}

func newBuilder(t testing.TB, codec config.Compression, level int) *BatchBuilder {
	t.Helper()
	b, err := NewBatchBuilder(codec, level)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Whatever was appended is read back, from one builder used again and again.
func TestRoundTrip(t *testing.T) {
	noise := make([]byte, 300_000)
	_, _ = rand.Read(noise)
	long := []byte(strings.Repeat(`{"level":"info","message":"again and again"}`, 30_000))
	contents := map[string][]kept{
		"one record": {{Timestamp: 5, Value: []byte("{}")}},
		"keys and headers, null and empty": {
			{Timestamp: 7, Key: []byte("k"), Value: []byte("a"), Headers: []record.Header{{Key: "h", Value: []byte("v")}, {Key: "", Value: nil}, {Key: "e", Value: []byte{}}}},
			{Timestamp: 3, Key: []byte{}, Value: []byte("b")},
			{Timestamp: 1 << 45, Value: []byte{}},
		},
		"larger than a block of any codec": {{Timestamp: 1, Value: long}, {Timestamp: 2, Value: []byte("tail")}},
		"nothing that can be compressed":   {{Timestamp: 1, Value: noise}},
		"some of it can't be compressed":   {{Timestamp: 1, Value: noise}, {Timestamp: 1, Value: long}},
	}
	for _, codec := range codecs {
		for _, level := range []int{0, 1, 5, 9} {
			if codec != config.CompressionGzip && codec != config.CompressionLZ4 && codec != config.CompressionZstd && level > 0 {
				continue
			}
			b := newBuilder(t, codec, level)
			for name, want := range contents {
				t.Run(fmt.Sprintf("%s %d, %s", codec, level, name), func(t *testing.T) {
					b.Reset()
					for _, r := range want {
						r.appendTo(b)
					}
					raw := b.Seal(ProducerID{ID: 1}, 0)
					if len(raw) > b.Size() {
						t.Errorf("it is %d bytes, more than the %d uncompressed", len(raw), b.Size())
					}
					if got := readBack(t, raw); !reflect.DeepEqual(want, got) { // cmp takes seconds for a megabyte
						t.Errorf("%d records read, %d appended, and they differ", len(got), len(want))
					}
				})
			}
		}
	}
}

func TestThereIsNoSuchCodecOrLevel(t *testing.T) {
	for _, tc := range []struct {
		codec config.Compression
		level int
		want  string
	}{
		{"brotli", 0, `compression is "brotli": choose none, gzip, snappy, lz4 or zstd`},
		{config.CompressionGzip, 10, "level 10 of compression gzip: choose 1 to 9, or 0 for its default"},
		{config.CompressionLZ4, -1, "level -1 of compression lz4: choose 1 to 9, or 0 for its default"},
		{config.CompressionZstd, 23, "level 23 of compression zstd: choose 1 to 22, or 0 for its default"},
	} {
		if _, err := NewBatchBuilder(tc.codec, tc.level); err == nil || err.Error() != tc.want {
			t.Errorf("%s %d: got %v, want %s", tc.codec, tc.level, err, tc.want)
		}
	}
}

// Sealed again, only header and checksum differ; the records are not even
// compressed again. Appended to, the batch is another.
func TestSealedAgain(t *testing.T) {
	for _, codec := range codecs {
		t.Run(string(codec), func(t *testing.T) {
			b := newBuilder(t, codec, 0)
			for range 100 {
				b.Append(1, nil, benchValue, nil)
			}
			first := bytes.Clone(b.Seal(ProducerID{ID: 7, Epoch: 3}, 40))
			allocations := testing.AllocsPerRun(1, func() { b.Seal(NoProducer, -1) })
			again := bytes.Clone(b.Seal(NoProducer, -1))
			if allocations != 0 || !bytes.Equal(first[batchHeader:], again[batchHeader:]) {
				t.Errorf("%v allocations, and %d bytes that aren't the same %d", allocations, len(again), len(first))
			}
			if !bytes.Equal(first, b.Seal(ProducerID{ID: 7, Epoch: 3}, 40)) {
				t.Error("sealed once more under the first numbers, it isn't the same")
			}
			b.Append(1, nil, []byte("one more"), nil)
			if got := readBack(t, b.Seal(ProducerID{ID: 7, Epoch: 3}, 40)); len(got) != 101 {
				t.Errorf("%d records after one more was appended to 100", len(got))
			}
		})
	}
}

// A builder doesn't keep for ever what one giant took.
func TestBuffersAreBounded(t *testing.T) {
	noise := make([]byte, 2*keptBuffer)
	_, _ = rand.Read(noise)
	for _, codec := range codecs {
		b := newBuilder(t, codec, 0)
		b.Append(1, nil, noise, nil)
		b.Append(1, nil, bytes.Repeat(benchValue, 1+2*len(noise)/len(benchValue)), nil)
		b.Seal(ProducerID{}, 0)
		b.Reset()
		if held := cap(b.records) + cap(b.compressed); held > 2*keptBuffer {
			t.Errorf("%s: it holds %d bytes", codec, held)
		}
	}
}
