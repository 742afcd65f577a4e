package record

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestRestoreIsTheParsedBatch(t *testing.T) {
	parsed := NewBatch("b")
	if err := ParseJSON(parsed, []byte(`[{"a":1}, {}, {"b":"ccc"}]`), testLimits); err != nil {
		t.Fatal(err)
	}
	var buffer bytes.Buffer
	var lengths []uint32
	for i := range parsed.Len() {
		buffer.Write(parsed.Record(i))
		lengths = append(lengths, uint32(len(parsed.Record(i))))
	}
	exact := make([]byte, buffer.Len())
	copy(exact, buffer.Bytes())
	restored, err := Restore("b", exact, lengths)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(records(parsed), records(restored)); diff != "" {
		t.Errorf("records (-parsed +restored):\n%s", diff)
	}
	if restored.ID != "b" || restored.Bytes() != parsed.Bytes() || restored.Attended() {
		t.Errorf("restored %q with %d bytes, attended %v", restored.ID, restored.Bytes(), restored.Attended())
	}
	if want := RestoredMemory(restored.Bytes(), 3); restored.Memory() != want || want > parsed.Memory() {
		t.Errorf("memory is %d, announced were %d, and it was %d before", restored.Memory(), want, parsed.Memory())
	}
}

func TestRestoreRefusesLengthsThatDoNotFit(t *testing.T) {
	for name, lengths := range map[string][]uint32{
		"beyond the end":       {2, 3},
		"short of the end":     {1, 1},
		"no records":           {},
		"more than any buffer": {1<<32 - 1, 1<<32 - 1},
	} {
		if b, err := Restore("b", []byte("{}{}"), lengths); err == nil || !strings.Contains(err.Error(), "restore batch b") {
			t.Errorf("%s: restored %v, error %v", name, b, err)
		}
	}
}

func TestUnloadedBatchStillDeliversItsOutcome(t *testing.T) {
	pool := NewBuffers(1 << 20)
	b := NewBatch("b")
	b.Buffers = pool
	if err := ParseNDJSON(b, append(pool.Get(8)[:0], "{\"a\":1}\n"...), testLimits); err != nil {
		t.Fatal(err)
	}
	b.Unload()
	if b.Len() != 0 || b.Bytes() != 0 || b.Memory() != Overhead {
		t.Errorf("%d records in %d bytes are left", b.Len(), b.Memory())
	}
	from, err := Restore("b", []byte(`{"a":1}`), []uint32{7})
	if err != nil {
		t.Fatal(err)
	}
	b.Reload(from)
	if diff := cmp.Diff([]string{`{"a":1}`}, records(b)); diff != "" {
		t.Error(diff)
	}
	if !b.Attended() || !b.Complete(Outcome{}) {
		t.Error("nobody waits any more")
	}
	<-b.Outcome()
	if b.Attended() || b.Leave() {
		t.Error("somebody still waits")
	}
	b.Free()
}
