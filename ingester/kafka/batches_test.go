package kafka

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// stored is a batch as a broker has it, at an offset.
func stored(base int64, producer ProducerID, values ...string) []byte {
	var b BatchBuilder
	for i, v := range values {
		b.Append(100+int64(i), nil, []byte(v), nil)
	}
	raw := bytes.Clone(b.Seal(producer, 7))
	binary.BigEndian.PutUint64(raw[atBaseOffset:], uint64(base))
	binary.BigEndian.PutUint32(raw[atLeaderEpoch:], 3)
	return raw
}

// changed returns the batch with its attributes changed and its checksum right.
func changed(raw []byte, change func(raw []byte)) []byte {
	raw = bytes.Clone(raw)
	change(raw)
	binary.BigEndian.PutUint32(raw[atChecksum:], crc32.Checksum(raw[atAttributes:], castagnoli))
	return raw
}

func withAttributes(raw []byte, attributes uint16) []byte {
	return changed(raw, func(raw []byte) { binary.BigEndian.PutUint16(raw[atAttributes:], attributes) })
}

// marker is a control batch with one record whose key is version 0 and type.
func marker(base int64, producer ProducerID, kind byte) []byte {
	raw := stored(base, producer, "")[:batchHeader]
	raw = append(raw, 20, 0, 0, 0, 8, 0, 0, 0, kind, 0, 0) // length 10, …, key of 4 bytes, no value, no headers
	binary.BigEndian.PutUint32(raw[atLength:], uint32(len(raw)-atLeaderEpoch))
	return withAttributes(raw, attributeControl|attributeTransactional)
}

// walked is what a walk yields.
type walked struct {
	Base, Next int64
	Count      int
	Records    []seen
}

// seen is a Record that can be compared fast.
type seen struct {
	Offset, Timestamp int64
	Value             string
}

func walk(data []byte, from int64, aborted ...AbortedTransaction) (all []walked, err error) {
	var reader BatchReader
	reader.Reset(data, from, aborted)
	for {
		batch, err := reader.Next()
		if err == io.EOF {
			return all, nil
		}
		if err != nil {
			return all, err
		}
		w := walked{Base: batch.BaseOffset, Next: batch.NextOffset, Count: batch.Count}
		for r := (Record{}); batch.Next(&r); {
			value := string(r.Value)
			if r.Value == nil {
				value = "(null)"
			}
			w.Records = append(w.Records, seen{r.Offset, r.Timestamp, value})
		}
		all = append(all, w)
		if batch.Err() != nil {
			return all, batch.Err()
		}
	}
}

func TestWalk(t *testing.T) {
	a, b := ProducerID{ID: 1}, ProducerID{ID: 2}
	records := func(base int64, values ...string) (all []seen) {
		for i, v := range values {
			all = append(all, seen{base + int64(i), 100 + int64(i), v})
		}
		return all
	}
	ab, cd := stored(10, a, "a", "b"), stored(12, a, "c", "d")
	whole := []walked{{10, 12, 2, records(10, "a", "b")}, {12, 14, 2, records(12, "c", "d")}}
	transactional := func(raw []byte) []byte { return withAttributes(raw, attributeTransactional) }

	for name, c := range map[string]struct {
		data    []byte
		from    int64
		aborted []AbortedTransaction
		want    []walked
	}{
		"nothing":                              {},
		"two batches":                          {data: join(ab, cd), from: 10, want: whole},
		"last batch is partial":                {data: join(ab, cd, cd[:30]), from: 10, want: whole},
		"last batch ends before its magic":     {data: join(ab, cd, cd[:5]), from: 10, want: whole},
		"batch lies before the asked offset":   {data: join(ab, cd), from: 12, want: whole[1:]},
		"batch begins before the asked offset": {data: cd, from: 13, want: []walked{{12, 14, 2, []seen{{13, 101, "d"}}}}},
		"compaction left a gap":                {data: join(ab, stored(20, a, "x")), from: 10, want: []walked{whole[0], {20, 21, 1, records(20, "x")}}},
		"records take the append time": {
			data: changed(withAttributes(ab, attributeLogAppendTime), func(raw []byte) { binary.BigEndian.PutUint64(raw[atMaxTimestamp:], 555) }),
			from: 10, want: []walked{{10, 12, 2, []seen{{10, 555, "a"}, {11, 555, "b"}}}},
		},
		"control batch": {data: join(ab, marker(12, a, 1)), from: 10, want: []walked{whole[0], {12, 13, 0, nil}}},
		"aborted transaction between others": {
			data: join(
				transactional(stored(0, a, "no")), transactional(stored(1, b, "yes")), stored(2, a, "not transactional"),
				marker(3, a, 0), transactional(stored(4, a, "after")), marker(5, b, 1), marker(6, a, 1),
			),
			aborted: []AbortedTransaction{{ProducerID: 1, FirstOffset: 0}},
			want: []walked{
				{0, 1, 0, nil}, {1, 2, 1, records(1, "yes")}, {2, 3, 1, records(2, "not transactional")},
				{3, 4, 0, nil}, {4, 5, 1, records(4, "after")}, {5, 6, 0, nil}, {6, 7, 0, nil},
			},
		},
		"aborted transaction begins later": {
			data:    join(transactional(stored(0, a, "yes")), marker(1, a, 1), transactional(stored(2, a, "no"))),
			aborted: []AbortedTransaction{{ProducerID: 1, FirstOffset: 2}},
			want:    []walked{{0, 1, 1, records(0, "yes")}, {1, 2, 0, nil}, {2, 3, 0, nil}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := walk(c.data, c.from, c.aborted...)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func join(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

func TestWalkRefuses(t *testing.T) {
	good := stored(10, ProducerID{}, "a", "b")
	put32 := func(at int, v uint32) []byte {
		return changed(good, func(raw []byte) { binary.BigEndian.PutUint32(raw[at:], v) })
	}
	flipped := bytes.Clone(good)
	flipped[len(flipped)-2] ^= 1
	old := bytes.Clone(good)
	old[atMagic] = 1

	for name, c := range map[string]struct {
		data []byte
		want string
	}{
		"old format":                 {old, "version 1"},
		"flipped bit":                {flipped, "checksum"},
		"length is negative":         {put32(atLength, 1<<31), "announces"},
		"length is below the header": {put32(atLength, 10), "announces"},
		"first batch is incomplete":  {good[:len(good)-1], "ends after"},
		"more records than offsets":  {put32(atCount, 3), "3 records"},
		"negative count":             {put32(atCount, 1<<31), "records"},
		"more records than bytes": {changed(good, func(raw []byte) {
			binary.BigEndian.PutUint32(raw[atCount:], 9)
			binary.BigEndian.PutUint32(raw[atLastOffsetDelta:], 8)
		}), "9 records in"},
		"offsets go back":             {join(good, good), "after 12"},
		"unknown codec":               {withAttributes(good, 7), "codec 7"},
		"not gzip":                    {withAttributes(good, codecGzip), "decompress"},
		"not snappy":                  {withAttributes(good, codecSnappy), "decompress"},
		"not lz4":                     {withAttributes(good, codecLZ4), "decompress"},
		"not zstd":                    {withAttributes(good, codecZstd), "decompress"},
		"record is longer than batch": {changed(good, func(raw []byte) { raw[batchHeader] = 0x7e }), "record 0"},
		"offset delta past the last":  {changed(good, func(raw []byte) { raw[batchHeader+3] = 8 }), "record 0"},
		"value is longer than record": {changed(good, func(raw []byte) { raw[batchHeader+5] = 0x7e }), "record 0"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := walk(c.data, 0)
			if !errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}
