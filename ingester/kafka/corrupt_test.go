package kafka

import (
	"encoding/binary"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// What a CorruptError knows of a batch decides how far a reader may pass it.
func TestCorruptErrorLocatesTheBatch(t *testing.T) {
	p := ProducerID{ID: 1}
	sound, follower := stored(10, p, "a", "b"), stored(20, p, "c")
	damage := func(at int) []byte {
		batch := append([]byte(nil), sound...)
		batch[at] ^= 0x80
		return batch
	}
	wrongDelta := append([]byte(nil), sound...)
	binary.BigEndian.PutUint32(wrongDelta[atLastOffsetDelta:], 1<<20)
	type place struct{ Offset, NextOffset, Claimed int64 }
	for name, test := range map[string]struct {
		records []byte
		batch   []byte
		from    int64
		want    place
	}{
		"a record's byte, the last batch":      {damage(len(sound) - 1), damage(len(sound) - 1), 10, place{10, -1, 12}},
		"a record's byte, another follows":     {join(damage(len(sound)-1), follower), damage(len(sound) - 1), 11, place{11, 20, 12}},
		"the header's offsets":                 {join(wrongDelta, follower), wrongDelta, 10, place{10, 20, 10 + 1<<20 + 1}},
		"an unknown codec, the last batch":     {withAttributes(sound, 7), withAttributes(sound, 7), 0, place{10, 12, 12}},
		"a codec that it isn't compressed by":  {withAttributes(sound, codecGzip), withAttributes(sound, codecGzip), 11, place{11, 12, 12}},
		"a header that is none, one follows":   {join(damage(atLastOffsetDelta), follower), damage(atLastOffsetDelta), 10, place{10, 20, -1}},
		"a follower of another format is none": {join(damage(len(sound)-1), make([]byte, 100)), damage(len(sound) - 1), 10, place{10, -1, 12}},
	} {
		t.Run(name, func(t *testing.T) {
			var reader BatchReader
			reader.Reset(test.records, test.from, nil)
			_, err := reader.Next()
			var corrupt *CorruptError
			if !errors.As(err, &corrupt) || !errors.Is(err, ErrCorrupt) {
				t.Fatalf("error is %v", err)
			}
			if diff := cmp.Diff(test.want, place{corrupt.Offset, corrupt.NextOffset, corrupt.Claimed}); diff != "" {
				t.Errorf("place (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(test.batch, corrupt.Batch); diff != "" {
				t.Errorf("batch (-want +got):\n%s", diff)
			}
		})
	}
}

func TestMalformedRecordLocatesTheBatch(t *testing.T) {
	batch := changed(stored(10, ProducerID{ID: 1}, "a", "bc"), func(b []byte) { b[batchHeader] = 0x7e }) // 63 bytes
	var reader BatchReader
	reader.Reset(batch, 11, nil)
	b, err := reader.Next()
	if err != nil {
		t.Fatal(err)
	}
	for b.Next(&Record{}) {
	}
	var corrupt *CorruptError
	if !errors.As(b.Err(), &corrupt) {
		t.Fatalf("error is %v", b.Err())
	}
	if corrupt.Offset != 11 || corrupt.NextOffset != 12 || len(corrupt.Batch) != len(batch) {
		t.Errorf("batch of %d bytes at %d to %d", len(corrupt.Batch), corrupt.Offset, corrupt.NextOffset)
	}
}
