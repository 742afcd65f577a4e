package consumer_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/logpipeline/logpipeline/ingester/config"
	"github.com/logpipeline/logpipeline/ingester/deadletter"
	"github.com/logpipeline/logpipeline/ingester/kafka"
	"github.com/logpipeline/logpipeline/ingester/record"
)

func deadLettersTo(letters *topic) func(*config.Config) {
	return func(cfg *config.Config) { cfg.DeadLetter.Topic = letters.name }
}

// rawBatch is a record batch with these values at an offset.
func rawBatch(t *testing.T, offset int64, codec config.Compression, values ...string) []byte {
	t.Helper()
	builder, err := kafka.NewBatchBuilder(codec, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range values {
		builder.Append(time.Now().UnixMilli(), nil, []byte(v), nil)
	}
	batch := bytes.Clone(builder.Seal(kafka.NoProducer, -1))
	binary.BigEndian.PutUint64(batch, uint64(offset))
	return batch
}

func lines(from, to int) []string {
	var values []string
	for i := from; i < to; i++ {
		values = append(values, line(0, i))
	}
	return values
}

// resum makes the checksum of a changed batch right: from byte 17 on it is that
// of all from byte 21 on.
func resum(batch []byte) []byte {
	binary.BigEndian.PutUint32(batch[17:], crc32.Checksum(batch[21:], crc32.MakeTable(crc32.Castagnoli)))
	return batch
}

// serve has a broker answer fetches from before end with these batches, from
// the one on that holds the offset; others it answers itself.
func serve(cluster *kfake.Cluster, b *topic, end int64, batches ...[]byte) {
	cluster.ControlKey(int16(kmsg.Fetch), func(request kmsg.Request) (kmsg.Response, error, bool) {
		cluster.KeepControl()
		asked := request.(*kmsg.FetchRequest).Topics[0].Partitions[0].FetchOffset
		if request.(*kmsg.FetchRequest).Topics[0].Topic != b.name || asked >= end {
			return nil, nil, false
		}
		var records []byte
		for i, batch := range batches {
			if i+1 == len(batches) || int64(binary.BigEndian.Uint64(batches[i+1])) > asked {
				records = append(records, batch...)
			}
		}
		response := request.ResponseKind().(*kmsg.FetchResponse)
		response.Topics = []kmsg.FetchResponseTopic{{Topic: b.name, Partitions: []kmsg.FetchResponseTopicPartition{{
			HighWatermark: end, LastStableOffset: end, RecordBatches: records,
		}}}}
		return response, nil, true
	})
}

// read is what lies in a topic, each record as its key, the named headers, and
// its value.
type read struct {
	Key, Headers, Value string
}

func (b *topic) readAll(headers ...string) []read {
	b.t.Helper()
	_, end, err := b.client.Offsets(b.t.Context(), b.name, 0)
	if err != nil {
		b.t.Fatal(err)
	}
	var all []read
	f := &kafka.FetchRequest{Topic: b.name, LeaderEpoch: -1, MaxBytes: 8 << 20, MinBytes: 1, MaxWait: time.Second}
	var reader kafka.BatchReader
	for f.Offset < end {
		response, err := b.client.Fetch(b.t.Context(), f)
		if err != nil {
			b.t.Fatal(err)
		}
		reader.Reset(response.Records, f.Offset, response.Aborted)
		for {
			batch, err := reader.Next()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				b.t.Fatal(err)
			}
			for r := (kafka.Record{}); batch.Next(&r); {
				all = append(all, read{string(r.Key), b.values(&r, headers), string(r.Value)})
			}
			f.Offset = batch.NextOffset
		}
	}
	return all
}

func (b *topic) values(r *kafka.Record, names []string) string {
	b.t.Helper()
	all, err := r.Headers(nil)
	if err != nil {
		b.t.Fatal(err)
	}
	var values []string
	for _, name := range names {
		for _, h := range all {
			if h.Key == name {
				values = append(values, string(h.Value))
			}
		}
	}
	return strings.Join(values, " ")
}

var letterHeaders = []string{"logpipeline-undecodable-content", "logpipeline-undecodable-part", "logpipeline-undecodable-next-offset"}

func TestUndecodableBatchGoesToTheDeadLetters(t *testing.T) {
	large := make([]string, 3)
	for i := range large {
		random := make([]byte, 150<<10)
		for j := range random {
			random[j] = byte(rand.N(256))
		}
		large[i] = fmt.Sprintf(`"%x"`, random)
	}
	for name, test := range map[string]struct {
		values []string
		codec  config.Compression
		damage func(batch []byte) []byte
		last   bool // in the log
		parts  int
	}{
		"checksum":                   {lines(30, 33), config.CompressionNone, func(b []byte) []byte { b[len(b)-9] ^= 1; return b }, false, 1},
		"checksum, at the log's end": {lines(30, 33), config.CompressionNone, func(b []byte) []byte { b[len(b)-9] ^= 1; return b }, true, 1},
		"checksum, and a count of offsets beyond the next batch": {
			lines(30, 33), config.CompressionNone, func(b []byte) []byte { b[25] = 9; return b }, false, 1,
		},
		"codec that there isn't": {lines(30, 33), config.CompressionNone, func(b []byte) []byte { b[22] |= 6; return resum(b) }, true, 1},
		"broken compression":     {lines(30, 33), config.CompressionGzip, func(b []byte) []byte { b[75] ^= 0xff; return resum(b) }, false, 1},
		"first record malformed": {lines(30, 33), config.CompressionNone, func(b []byte) []byte { b[61] = 0x7f; return resum(b) }, true, 1},
		"in parts":               {large, config.CompressionNone, func(b []byte) []byte { b[len(b)-9] ^= 1; return b }, true, 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cluster := newFake(t)
			b, letters := newTopic(t, cluster.ListenAddrs(), 1), newTopic(t, cluster.ListenAddrs(), 1)
			damaged := test.damage(rawBatch(t, 30, test.codec, test.values...))
			batches := [][]byte{rawBatch(t, 0, config.CompressionNone, lines(0, 30)...), damaged}
			end := int64(33)
			if !test.last {
				end = 36
				batches = append(batches, rawBatch(t, 33, config.CompressionNone, lines(33, 36)...))
			}
			b.produce(0, int(end)) // what the broker has itself ends there
			serve(cluster, b, end, batches...)
			dir := t.TempDir()
			p := start(b, dir, deadLettersTo(letters))
			eventually(t, "record the hole", func() error {
				if n := p.metric("logpipeline_consumer_gaps_total", "BatchCorrupt"); n != 1 {
					return fmt.Errorf("%v gaps", n)
				}
				return nil
			})
			b.produce(0, 5)
			report := expectLines(b, dir, [2]int{0, 30}, [2]int{33, int(end) + 5})
			expectGaps(t, report, "BatchCorrupt: kept in topic", [2]int64{30, 33})
			var value string
			kept := letters.readAll(letterHeaders...)
			for i, r := range kept {
				value += r.Value
				if want := (read{b.name + "/0/30", fmt.Sprintf("batch %d/%d 33", i+1, test.parts), r.Value}); r != want {
					t.Errorf("letter is under %q with %q, want %q with %q", r.Key, r.Headers, want.Key, want.Headers)
				}
			}
			if len(kept) != test.parts || value != string(damaged) {
				t.Errorf("%d letters of %d bytes, want %d with the %d bytes of the batch", len(kept), len(value), test.parts, len(damaged))
			}
			if err := p.health(); err != nil {
				t.Error(err)
			}
		})
	}
}

// The end of a batch that nothing follows, and whose own word for it is not
// that of the log, is unknown.
func TestUndecodableBatchWithoutAnEndStops(t *testing.T) {
	t.Parallel()
	cluster := newFake(t)
	b, letters := newTopic(t, cluster.ListenAddrs(), 1), newTopic(t, cluster.ListenAddrs(), 1)
	b.produce(0, 33)
	damaged := rawBatch(t, 30, config.CompressionNone, lines(30, 33)...)
	damaged[25] = 9 // offsets
	serve(cluster, b, 33, rawBatch(t, 0, config.CompressionNone, lines(0, 30)...), damaged)
	dir := t.TempDir()
	eventually(t, "stop", stopped(start(b, dir, deadLettersTo(letters)), "BatchCorrupt"))
	b.sent[0] = 30
	expectExact(b, dir)
	if kept := letters.readAll(); len(kept) > 0 {
		t.Errorf("%d letters", len(kept))
	}
}

// A damaged answer is no damaged log.
func TestBatchThatIsDamagedOnItsWayIsStored(t *testing.T) {
	t.Parallel()
	cluster := newFake(t)
	b, letters := newTopic(t, cluster.ListenAddrs(), 1), newTopic(t, cluster.ListenAddrs(), 1)
	b.produce(0, 30)
	damaged := rawBatch(t, 0, config.CompressionNone, lines(0, 30)...)
	damaged[100] ^= 1
	var attempts int
	cluster.ControlKey(int16(kmsg.Fetch), func(request kmsg.Request) (kmsg.Response, error, bool) {
		cluster.KeepControl()
		if attempts++; attempts > 2 {
			return nil, nil, false
		}
		response := request.ResponseKind().(*kmsg.FetchResponse)
		response.Topics = []kmsg.FetchResponseTopic{{Topic: b.name, Partitions: []kmsg.FetchResponseTopicPartition{{
			HighWatermark: 30, LastStableOffset: 30, RecordBatches: damaged,
		}}}}
		return response, nil, true
	})
	dir := t.TempDir()
	p := start(b, dir, deadLettersTo(letters))
	waitStored(b, dir)
	if n := p.metric("logpipeline_consumer_gaps_total"); n != 0 {
		t.Errorf("%v gaps, want none", n)
	}
}

func TestRecordsThatAreNotOneLineGoToTheDeadLetters(t *testing.T) {
	onEveryBroker(t, 1, func(t *testing.T, b *topic) {
		letters := newTopic(t, b.servers, 1)
		var batch kafka.BatchBuilder
		for _, v := range []string{line(0, 0), "{\n}", "", line(0, 3), "[\n]"} {
			batch.Append(time.Now().UnixMilli(), []byte("key of "+v), []byte(v), []record.Header{{Key: "own", Value: []byte("header")}})
		}
		b.sendBatch(0, &batch)
		b.send(0, time.Now(), line(0, 5))
		dir := t.TempDir()
		p := start(b, dir, deadLettersTo(letters))
		report := expectLines(b, dir, [2]int{0, 1}, [2]int{3, 4}, [2]int{5, 6})
		expectGaps(t, report, "RecordUnstorable: kept in topic", [2]int64{1, 3}, [2]int64{4, 5})
		want := []read{
			{b.name + "/0/1", "record 1/1 2 key of {\n} header", "{\n}"},
			{b.name + "/0/2", "record 1/1 3 key of  header", ""},
			{b.name + "/0/4", "record 1/1 5 key of [\n] header", "[\n]"},
		}
		if diff := cmp.Diff(want, letters.readAll(append(letterHeaders, "logpipeline-undecodable-key", "own")...)); diff != "" {
			t.Errorf("letters (-want +got):\n%s", diff)
		}
		inventory, err := deadletter.Scan(t.Context(), letters.client, letters.name, t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		listed := []deadletter.Undecodable{
			{Topic: b.name, Offset: 1, NextOffset: 2, Content: "record", Bytes: 3},
			{Topic: b.name, Offset: 2, NextOffset: 3, Content: "record"},
			{Topic: b.name, Offset: 4, NextOffset: 5, Content: "record", Bytes: 3},
		}
		if diff := cmp.Diff(listed, inventory.Undecodable, cmpopts.IgnoreUnexported(deadletter.Undecodable{}), cmpopts.IgnoreFields(deadletter.Undecodable{}, "Reason", "Time")); diff != "" || inventory.Foreign != 0 {
			t.Errorf("%d foreign records, and listed (-want +got):\n%s", inventory.Foreign, diff)
		}
		if n := p.metric("logpipeline_consumer_dead_letters_total", "RecordUnstorable"); n != 3 {
			t.Errorf("%v letters are counted, want 3", n)
		}
	})
}

// A batch of which every other record is none costs a bounded number of
// segments; nothing of it is lost.
func TestManyHolesInOneBatchBecomeOne(t *testing.T) {
	onEveryBroker(t, 1, func(t *testing.T, b *topic) {
		letters := newTopic(t, b.servers, 1)
		var values []string
		for i := range 100 {
			values = append(values, line(0, i), "not\none line")
		}
		b.send(0, time.Now(), values...)
		dir := t.TempDir()
		p := start(b, dir, deadLettersTo(letters))
		eventually(t, "come to the end", func() error {
			if owned := p.signals().Partitions; len(owned) != 1 || owned[0].SealedOffset != 200 {
				return fmt.Errorf("stored are %+v", owned)
			}
			return nil
		})
		report := waitRecords(b, dir, 1)
		stored := int(report.Records)
		if kept := len(letters.readAll()); stored != 16 || stored+kept != 200 {
			t.Errorf("%d records are stored and %d are dead letters, want 16 and 184", stored, kept)
		}
		if gaps := len(report.Chains[0].Gaps); gaps != 16 {
			t.Errorf("%d gaps, want 16", gaps)
		}
	})
}

// What is held of a hole is bounded: one small batch may have millions of records
// that are none, and becomes several holes then.
func TestLargeHoleIsRecordedInParts(t *testing.T) {
	onEveryBroker(t, 1, func(t *testing.T, b *topic) {
		letters := newTopic(t, b.servers, 1)
		const records = 20_000
		batch, err := kafka.NewBatchBuilder(config.CompressionZstd, 0)
		if err != nil {
			t.Fatal(err)
		}
		for range records {
			batch.Append(time.Now().UnixMilli(), nil, []byte{}, nil)
		}
		b.sendBatch(0, batch)
		b.send(0, time.Now(), line(0, records))
		dir := t.TempDir()
		start(b, dir, deadLettersTo(letters))
		report := waitRecords(b, dir, 1)
		if gaps := len(report.Chains[0].Gaps); gaps < 2 || gaps > 4 || report.GapOffsets != records {
			t.Errorf("%d gaps with %d offsets, want 2 to 4 with %d", gaps, report.GapOffsets, records)
		}
		identities := map[string]bool{}
		kept := letters.readAll()
		for _, l := range kept {
			identities[l.Key] = true
		}
		if len(kept) != records || len(identities) != records {
			t.Errorf("%d letters of %d records, want %d", len(kept), len(identities), records)
		}
	})
}

// A letter that was written is written again when the hole could not be
// recorded; and one that cannot be written yet is waited for.
func TestHoleIsRecordedAfterTheLetter(t *testing.T) {
	onEveryBroker(t, 1, func(t *testing.T, b *topic) {
		letters := newTopic(t, b.servers, 0)
		b.send(0, time.Now(), line(0, 0), "", line(0, 2))
		dir := t.TempDir()
		f := &faults{}
		f.gaps.Store(1)
		p := startWith(b, dir, f, deadLettersTo(letters))
		eventually(t, "try", func() error {
			if n := p.metric("logpipeline_consumer_troubled_partitions", "storage"); n != 1 {
				return errors.New("no trouble without a dead-letter topic")
			}
			return nil
		})
		if n := p.metric("logpipeline_consumer_gaps_total"); n != 0 {
			t.Errorf("%v gaps without a letter", n)
		}
		letters.create(1)
		expectGaps(t, expectLines(b, dir, [2]int{0, 1}, [2]int{2, 3}), "RecordUnstorable", [2]int64{1, 2})
		want := read{b.name + "/0/1", "record 1/1 2", ""}
		if diff := cmp.Diff([]read{want, want}, letters.readAll(letterHeaders...)); diff != "" {
			t.Errorf("letters (-want +got):\n%s", diff)
		}
	})
}
