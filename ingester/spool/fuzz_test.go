package spool

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/logpipeline/logpipeline/ingester/record"
)

// sealed is an entry with right checksums, whatever its meta and data are.
func sealed(k kind, records uint32, position uint64, meta, data []byte) []byte {
	h := header{kind: k, meta: uint32(len(meta)), data: uint32(len(data)), records: records, position: position}
	entry, checksum := h.append(nil, seedOf(1))
	body := slices.Concat(meta, data)
	return binary.LittleEndian.AppendUint32(append(entry, body...), crc32.Update(checksum, castagnoli, body))
}

// What a file system puts into the wrong file is none of that file's.
func TestEntryOfAnotherSegmentIsNoEntry(t *testing.T) {
	content := sealed(kindSettle, 0, 1, []byte{0}, nil)
	for segment, want := range map[uint64]error{1: nil, 2: &damageError{}} {
		_, _, err := newReader(bytes.NewReader(content), segment, int64(len(content))).next(0)
		var found *damageError
		if errors.As(err, &found) != (want != nil) {
			t.Errorf("read as one of segment %d: %v", segment, err)
		}
	}
}

// FuzzReader reads arbitrary bytes as a segment: the reader comes to the end,
// every byte is either in an entry or in a damage, and no entry is believed
// that isn't what it would be written as.
func FuzzReader(f *testing.F) {
	b := record.NewBatch("id")
	if err := record.ParseNDJSON(b, []byte("{\"a\":1}\n{}\n"), record.Limits{MaxRecordBytes: 10, MaxDepth: 1}); err != nil {
		f.Fatal(err)
	}
	b.Received, b.Headers = time.Unix(5, 6), []record.Header{{Key: "k", Value: []byte("v")}, {Key: "none"}}
	data := sealed(kindData, 2, 1, append(appendDataHead(nil, b), 7, 2, 1), []byte(`{"a":1}{}`))
	a := record.Assignment{Partition: 3, ProducerID: 9, Sequence: 1, After: -1, Time: time.Unix(7, 8), Sections: []record.AssignedSection{{Position: 1, From: 0, To: 2}}}
	assign := sealed(kindAssign, 0, 2, appendAssign(nil, a), nil)
	settle := sealed(kindSettle, 0, 2, appendSettle(nil, []settledSection{{a.Sections[0], 2}}), nil)
	f.Add([]byte{})
	f.Add(slices.Concat(data, assign, settle))
	f.Add(slices.Concat(data[:20], assign, []byte("between"), settle, data[:len(data)-1]))
	f.Add(slices.Concat(assign, make([]byte, 100)))
	f.Add(sealed(kindData, 1<<31, 1, []byte{0, 255, 255, 255, 255, 15}, nil))
	f.Fuzz(func(t *testing.T, content []byte) {
		r := newReader(bytes.NewReader(content), 1, int64(len(content)))
		for at := int64(0); ; {
			e, next, err := r.next(at)
			var found *damageError
			switch {
			case errors.Is(err, io.EOF):
				if at != r.end {
					t.Fatalf("the end is found at %d of %d", at, r.end)
				}
				return
			case next <= at || next > r.end:
				t.Fatalf("from %d to %d of %d", at, next, r.end)
			case errors.As(err, &found):
				if found.damage.from != at || found.damage.to != next || found.damage.reason == "" {
					t.Fatalf("damage at %d to %d: %+v", at, next, found.damage)
				}
			case err != nil:
				t.Fatal(err)
			default:
				checkEntry(t, r, e)
			}
			at = next
		}
	})
}

// checkEntry writes an entry that was read, and reads that.
func checkEntry(t *testing.T, r *reader, e found) {
	t.Helper()
	switch e.kind {
	case kindData:
		whole, err := readStored(r, e.at, e.header)
		if err != nil {
			t.Fatal(err)
		}
		b, err := whole.batch(0, int(e.records))
		if err != nil || b.Len() != int(e.records) || b.Bytes() != int64(e.header.data) {
			t.Fatalf("batch of %d records: %v", b.Len(), err)
		}
	case kindAssign:
		again, err := decodeAssign(appendAssign(nil, e.assign))
		if err != nil || !slices.Equal(again.Sections, e.assign.Sections) || !again.Time.Equal(e.assign.Time) || again.Sequence != e.assign.Sequence {
			t.Fatalf("%+v became %+v: %v", e.assign, again, err)
		}
	case kindSettle:
		if again, err := decodeSettle(appendSettle(nil, e.settle)); err != nil || !slices.Equal(again, e.settle) {
			t.Fatalf("%+v became %+v: %v", e.settle, again, err)
		}
	}
}

// FuzzEntries reads entries whose checksums are right and whose content is
// arbitrary, and opens what it makes of them: never a panic, never an error.
func FuzzEntries(f *testing.F) {
	f.Add([]byte{1, 3, 'a', 'b', 'c'}, []byte("{}"), uint32(1), uint64(1))
	f.Add([]byte{2, 2, 0, 0, 0, 0, 0, 1, 2, 0, 1}, []byte{}, uint32(0), uint64(2))
	f.Add([]byte{3, 1, 2, 0, 1, 1}, []byte{}, uint32(0), uint64(1<<63))
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, meta, data []byte, records uint32, position uint64) {
		if len(meta) == 0 {
			return
		}
		k := kind(meta[0]%4) + kindData
		content := fileHeader{number: 1, first: 1}.encode()
		content = append(content, sealed(kindData, 1, 1, []byte{0, 0, 0, 0, 2}, []byte("{}"))...)
		content = append(content, sealed(k, records, position, meta[1:], data)...)
		if err := os.WriteFile(filepath.Join(dir, filepath.Base(segmentPath(dir, 1))), content, 0o600); err != nil {
			t.Fatal(err)
		}
		v, err := takeSurvey(dir)
		if err != nil {
			t.Fatal(err)
		}
		v.count()
		if v.segmentOf(1) == nil {
			t.Fatalf("the first batch is lost: %v", v.segments)
		}
	})
}
