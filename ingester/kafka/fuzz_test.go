package kafka

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"maps"
	"slices"
	"testing"

	"github.com/google/uuid"

	"github.com/logpipeline/logpipeline/ingester/record"
)

// Whatever a broker sends: no panic, no walk without an end, and nothing that
// points outside of it.
func FuzzBatchReader(f *testing.F) {
	p := ProducerID{ID: 1}
	f.Add(stored(10, p, "a", "b"), int64(0), int64(0))
	f.Add(join(withAttributes(stored(0, p, "a"), attributeTransactional), marker(1, p, 0)), int64(0), int64(0))
	for codec := range uint16(8) {
		f.Add(withAttributes(stored(0, p, "abc"), codec), int64(0), int64(9))
	}
	f.Fuzz(func(t *testing.T, data []byte, from, firstAborted int64) {
		if len(data) >= batchHeader { // otherwise few inputs get past the checksum
			if n := int64(int32(binary.BigEndian.Uint32(data[atLength:]))) + atLeaderEpoch; n >= batchHeader && n <= int64(len(data)) {
				copy(data, changed(data[:n], func([]byte) {}))
			}
		}
		var reader BatchReader
		var r Record
		reader.own.limit = 1 << 20
		reader.Reset(data, from, []AbortedTransaction{{ProducerID: 1, FirstOffset: firstAborted}})
		for previous := from; ; {
			batch, err := reader.Next()
			if err == io.EOF {
				return
			}
			if err != nil {
				return
			}
			if batch.NextOffset <= previous {
				t.Fatalf("batch ends at %d after %d", batch.NextOffset, previous)
			}
			n := 0
			for batch.Next(&r) {
				if headers, err := r.Headers(nil); err == nil && len(headers) > len(data)+1<<20 {
					t.Fatalf("%d headers", len(headers))
				}
				if n++; r.Offset < from || r.Offset < batch.BaseOffset || r.Offset >= batch.NextOffset || n > batch.Count {
					t.Fatalf("record at %d in batch %+v", r.Offset, batch)
				}
			}
			previous = batch.NextOffset
		}
	})
}

// What a builder was given, a reader gives back, in every codec, whatever the
// records are made of, and also after another batch.
func FuzzBatchBuilder(f *testing.F) {
	f.Add([]byte("a"), []byte("key"), []byte("h"), int64(1), uint8(3), uint8(0))
	f.Add(bytes.Repeat([]byte("again "), 400), []byte{}, []byte{}, int64(-1), uint8(20), uint8(9))
	builders := map[string]*BatchBuilder{}
	f.Fuzz(func(t *testing.T, value, key, header []byte, timestamp int64, count, level uint8) {
		var want []kept
		for i := range 1 + int(count) {
			want = append(want, kept{
				Timestamp: timestamp/2 + int64(i)*(timestamp%1000), Key: key[:len(key)*i/256], Value: value[len(value)*i/512:],
				Headers: []record.Header{{Key: string(header), Value: key}}[:i%2],
			})
		}
		for _, codec := range codecs {
			name := fmt.Sprint(codec, level%10)
			b := builders[name]
			if b == nil {
				b = newBuilder(t, codec, int(level%10))
				builders[name] = b
			}
			b.Reset()
			for _, r := range want {
				r.appendTo(b)
			}
			if got := readBack(t, b.Seal(ProducerID{}, 0)); !slices.EqualFunc(want, got, kept.equal) {
				t.Fatalf("%s: %d records read that differ from the %d appended", name, len(got), len(want))
			}
		}
	})
}

func (k kept) equal(other kept) bool {
	return k.Timestamp == other.Timestamp && bytes.Equal(k.Key, other.Key) && bytes.Equal(k.Value, other.Value) &&
		(k.Key == nil) == (other.Key == nil) && slices.EqualFunc(k.Headers, other.Headers, func(a, b record.Header) bool {
		return a.Key == b.Key && bytes.Equal(a.Value, b.Value)
	})
}

// Malformed responses give an error: no panic, and no memory for what they
// only announce.
func FuzzResponses(f *testing.F) {
	f.Add([]byte("\x00\x00\x00\x01\x00\x00\x00\x00\x00"))
	f.Add(fetchResponse("t", 0, 0, stored(0, ProducerID{}, "a")))
	f.Add(append([]byte("\x00\x00\x00\x01\x00\x00\x00\x00\x00\x02\x00"), make([]byte, 21)...)) // a topic is deleted
	f.Add(append([]byte("\x00\x00\x00\x01\x00\x00\x00\x01\x00\x01t\x00\x00\x00\x01"), make([]byte, 50)...))
	f.Fuzz(func(t *testing.T, data []byte) {
		if topic, err := parseMetadata(data, "t"); err == nil && len(topic.Partitions) > len(data) {
			t.Errorf("%d partitions in %d bytes", len(topic.Partitions), len(data))
		}
		if id, err := parseInitProducerID(data); err == nil && id.ID < 0 {
			t.Errorf("producer id %d", id.ID)
		}
		if offset, err := parseListOffsets(data, "t", 0); err == nil && offset < 0 {
			t.Errorf("offset %d", offset)
		}
		if end, err := parseEpochEnd(data, "t", 0); err == nil && end < -1 {
			t.Errorf("epoch ends at %d", end)
		}
		if offset, err := parseProduce(data, "t", 0); err == nil && offset < 0 {
			t.Errorf("base offset %d", offset)
		}
		if err := parseDeleteTopics(data, uuid.Nil); err == nil && len(data) < 4+1+4+1+1+16+2+1 {
			t.Errorf("a topic was deleted by %d bytes", len(data))
		}
		var joined Joined
		if err := parseJoin(&joined, data); err == nil && 8*len(joined.Members) > len(data) {
			t.Errorf("%d members in %d bytes", len(joined.Members), len(data))
		}
		if assigned, err := parseSync(data); err == nil && len(assigned) > len(data) {
			t.Errorf("%d bytes assigned in %d bytes", len(assigned), len(data))
		}
		if node, err := parseFindCoordinator(data); err == nil && node < 0 {
			t.Errorf("coordinator is broker %d", node)
		}
		for what, err := range map[string]error{"heartbeat": parseHeartbeat(data), "leave": parseLeave(data), "commit": parseCommit(data, "t", 0)} {
			if err == nil && len(data) < 4+4+2 {
				t.Errorf("%s succeeds by %d bytes", what, len(data))
			}
		}
		var fetched FetchResponse
		if err := parseFetch(&fetched, data, "t", 0); err == nil && len(fetched.Records)+16*len(fetched.Aborted) > len(data) {
			t.Errorf("%d bytes, %d aborted in %d bytes", len(fetched.Records), len(fetched.Aborted), len(data))
		}
	})
}

// What members of a group say of themselves and are told: what is read can be
// written again, and means the same.
func FuzzConsumerProtocol(f *testing.F) {
	f.Add(Subscription{Topics: []string{"a", "b"}, UserData: []byte("x")}.Encode())
	f.Add(Assignment{"a": {0, 1}, "b": {7}}.Encode())
	f.Add([]byte("\x00\x03\x00\x00\x00\x00\xff\xff\xff\xff and what later versions add"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if s, err := ParseSubscription(data); err == nil {
			again, err := ParseSubscription(s.Encode())
			if err != nil || !slices.Equal(again.Topics, s.Topics) || !bytes.Equal(again.UserData, s.UserData) {
				t.Errorf("%v is read again as %v: %v", s, again, err)
			}
		}
		if a, err := ParseAssignment(data); err == nil {
			again, err := ParseAssignment(a.Encode())
			if err != nil || !maps.EqualFunc(a, again, slices.Equal) {
				t.Errorf("%v is read again as %v: %v", a, again, err)
			}
		}
	})
}

// fetchResponse is a Fetch response v11 about one partition.
func fetchResponse(topic string, partition int32, code int16, records []byte, aborted ...AbortedTransaction) []byte {
	b := appendInt32(nil, 1)   // correlation
	b = appendInt32(b, 0)      // throttle
	b = appendInt16(b, 0)      // error
	b = appendInt32(b, 0)      // session
	b = appendInt32(b, 1)      // topics
	b = appendString(b, topic) //
	b = appendInt32(b, 1)      // partitions
	b = appendInt32(b, partition)
	b = appendInt16(b, code)
	for _, offset := range []int64{30, 20, 10} {
		b = appendInt64(b, offset)
	}
	b = appendInt32(b, int32(len(aborted)))
	for _, a := range aborted {
		b = appendInt64(appendInt64(b, a.ProducerID), a.FirstOffset)
	}
	b = appendInt32(b, -1) // preferred replica
	b = appendInt32(b, int32(len(records)))
	return append(b, records...)
}
