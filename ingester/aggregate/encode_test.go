package aggregate

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var source = Source{Topic: "logs.orders", TopicID: "AAAAAAAAQACAAAAAAAAAAQ", Partition: 3, BaseOffset: 100, NextOffset: 250}

func TestEncodeAndDecode(t *testing.T) {
	plan := must(t, cfg("a b", "n"))
	for seed := range uint64(50) {
		original := randomRollup(rand.New(rand.NewPCG(seed, 2)), plan)
		encoded := original.Encode(source)
		decoded, of, err := plan.Decode(encoded)
		if err != nil {
			t.Fatal(err)
		}
		if of != source {
			t.Errorf("of %+v, want %+v", of, source)
		}
		if diff := cmp.Diff(encoded, decoded.Encode(of)); diff != "" {
			t.Fatalf("seed %d: encoded again (-want +got):\n%s", seed, diff)
		}
	}
}

// Two writers that read the same records write the same bytes, though their
// tables have seeds of their own.
func TestEncodingIsDeterministic(t *testing.T) {
	plan := must(t, benchmarkConfig())
	encode := func() string {
		r := plan.NewRollup()
		r.Add(logLines(2000), 0)
		r.Add(logLines(100), 60_000)
		return string(r.Encode(source))
	}
	if first, again := encode(), encode(); first != again {
		t.Error("equal records gave other bytes")
	}
}

func TestDecodeRefuses(t *testing.T) {
	plan := must(t, cfg("a b", "n"))
	good := randomRollup(rand.New(rand.NewPCG(1, 2)), plan).Encode(source)
	change := func(at int) []byte {
		changed := append([]byte{}, good...)
		changed[at] ^= 1
		return changed
	}
	newer := change(len(magic))
	for name, tc := range map[string]struct {
		document []byte
		want     error
	}{
		"nothing":                {nil, ErrDamaged},
		"something else":         {make([]byte, 200), ErrDamaged},
		"a torn end":             {good[:len(good)-1], ErrDamaged},
		"a flipped bit":          {change(len(good) / 2), ErrDamaged},
		"a newer format":         {withChecksum(newer[:len(newer)-4]), ErrOtherConfiguration},
		"bytes behind it":        {withChecksum(append(append([]byte{}, good[:len(good)-4]...), 0)), ErrDamaged},
		"too few, with checksum": {withChecksum(good[:len(good)-5]), ErrDamaged},
		"another configuration":  {must(t, cfg("a", "n")).NewRollup().Encode(source), ErrOtherConfiguration},
	} {
		t.Run(name, func(t *testing.T) {
			if _, _, err := plan.Decode(tc.document); !errors.Is(err, tc.want) {
				t.Errorf("%v, want %v", err, tc.want)
			}
		})
	}
}

func TestEveryFlippedByteIsFound(t *testing.T) {
	plan := must(t, cfg("a", "n"))
	good := rolledUp(plan, `{"a":1,"n":2}`).Encode(source)
	for i := range good {
		good[i] ^= 0x40
		if _, _, err := plan.Decode(good); err == nil {
			t.Errorf("byte %d changed, and nobody noticed", i)
		}
		good[i] ^= 0x40
	}
}

func withChecksum(content []byte) []byte {
	return binary.LittleEndian.AppendUint32(content[:len(content):len(content)], crc32.Checksum(content, castagnoli))
}

// FuzzDecode gives every input a good checksum, so that all that lies behind it
// is reached. What is accepted can be answered from, and be encoded again.
func FuzzDecode(f *testing.F) {
	c := cfg("a b", "n")
	c.MaxGroups = 4
	plan := must(f, c)
	for _, lines := range [][]string{nil, {`{"a":1}`}, {`{"a":"x","b":null,"n":7}`, `{"n":-0.5}`, `{"n":[]}`, `{"a":2}`, `{"a":3}`}} {
		encoded := rolledUp(plan, lines...).Encode(source) // small ones, which are varied fast
		f.Add(encoded[headerBytes : len(encoded)-4])
	}
	header := plan.NewRollup().Encode(source)[:headerBytes]
	f.Fuzz(func(t *testing.T, content []byte) {
		r, of, err := plan.Decode(withChecksum(append(header[:headerBytes:headerBytes], content...)))
		if err != nil {
			if !errors.Is(err, ErrDamaged) {
				t.Fatal(err)
			}
			return
		}
		again := r.Encode(of)
		second, _, err := plan.Decode(again)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(again, second.Encode(of)); diff != "" {
			t.Fatal(diff)
		}
		a, err := plan.NewAnswer(Query{From: at(-1e9), To: at(1e9)})
		if err == nil {
			err = a.Add(r)
		}
		if err != nil {
			t.Fatal(err)
		}
		printed(t, a)
	})
}
