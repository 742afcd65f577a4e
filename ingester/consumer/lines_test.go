package consumer

import (
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/logpipeline/logpipeline/ingester/kafka"
	"github.com/logpipeline/logpipeline/ingester/record"
)

// firstBatch is the batch that a fetch from an offset yields, of records at
// the offsets 0, 1, ... with the timestamps 7, 6, ...
func firstBatch(t testing.TB, from int64, values ...string) *kafka.RecordBatch {
	t.Helper()
	var builder kafka.BatchBuilder
	for i, v := range values {
		builder.Append(int64(7-i), nil, []byte(v), nil)
	}
	var reader kafka.BatchReader
	reader.Reset(builder.Seal(kafka.ProducerID{ID: -1, Epoch: -1}, -1), from, nil)
	batch, err := reader.Next()
	if err != nil && !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
	return batch
}

func TestLinesOfABatch(t *testing.T) {
	for name, test := range map[string]struct {
		from   int64
		values []string
		lines  string
		span   record.Span
		defect string
	}{
		"whole batch":             {0, []string{"a", "bc"}, "a\nbc\n", record.Span{NextOffset: 2, Records: 2, FirstTimestamp: 6, LastTimestamp: 7}, ""},
		"begins before the fetch": {1, []string{"a", "b", "c"}, "b\nc\n", record.Span{BaseOffset: 1, NextOffset: 3, Records: 2, FirstTimestamp: 5, LastTimestamp: 6}, ""},
		"empty value":             {0, []string{"a", "", "c"}, "a\n", record.Span{NextOffset: 1, Records: 1, FirstTimestamp: 7, LastTimestamp: 7}, "is empty"},
		"line break at once":      {0, []string{"a\n", "b"}, "", record.Span{}, "contains a line break"},
	} {
		t.Run(name, func(t *testing.T) {
			var l lines
			_, err := l.read(firstBatch(t, test.from, test.values...), test.from)
			l.span.LeaderEpoch = 0 // the builder leaves it to the broker
			if diff := cmp.Diff(test.lines, string(l.buffer)); diff != "" {
				t.Errorf("lines (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(test.span, l.span); diff != "" {
				t.Errorf("span (-want +got):\n%s", diff)
			}
			var unstorable *unstorableError
			if errors.As(err, &unstorable); (test.defect == "") != (err == nil) || err != nil && unstorable.defect != test.defect {
				t.Errorf("error is %v, want %q", err, test.defect)
			}
		})
	}
}

func TestLargeBatchBecomesLinesInParts(t *testing.T) {
	half := strings.Repeat("x", linesBytes/2)
	batch := firstBatch(t, 0, half, half, "a", half, half)
	var spans []record.Span
	var stored string
	for l, more, next := new(lines), true, int64(0); more; next = l.span.NextOffset {
		var err error
		if more, err = l.read(batch, next); err != nil {
			t.Fatal(err)
		}
		l.span.LeaderEpoch = 0 // the builder leaves it to the broker
		spans = append(spans, l.span)
		stored += string(l.buffer)
	}
	if want := strings.Join([]string{half, half, "a", half, half, ""}, "\n"); stored != want {
		t.Errorf("%d bytes of lines, want %d of others", len(stored), len(want))
	}
	want := []record.Span{
		{NextOffset: 2, Records: 2, FirstTimestamp: 6, LastTimestamp: 7},
		{BaseOffset: 2, NextOffset: 5, Records: 3, FirstTimestamp: 3, LastTimestamp: 5},
		{BaseOffset: 5, NextOffset: 5},
	}
	if diff := cmp.Diff(want, spans); diff != "" {
		t.Errorf("spans (-want +got):\n%s", diff)
	}
}

func TestLinesAllocateNothingPerRecord(t *testing.T) {
	values := make([]string, 1000)
	for i := range values {
		values[i] = `{"message":"a record"}`
	}
	var builder kafka.BatchBuilder
	for _, v := range values {
		builder.Append(1, nil, []byte(v), nil)
	}
	raw := builder.Seal(kafka.ProducerID{ID: -1, Epoch: -1}, -1)
	var reader kafka.BatchReader
	var l lines
	perBatch := testing.AllocsPerRun(20, func() {
		reader.Reset(raw, 0, nil)
		batch, err := reader.Next()
		if err == nil {
			_, err = l.read(batch, 0)
		}
		if err != nil || l.span.Records != 1000 {
			t.Fatalf("%d records, error %v", l.span.Records, err)
		}
	})
	if perBatch > 1 {
		t.Errorf("%v allocations for 1000 records, want none", perBatch)
	}
}

func TestPausesGrowAndStayBounded(t *testing.T) {
	for attempt, longest := range map[int]int64{1: 100, 2: 200, 3: 400, 7: 6400, 8: 10_000, 1_000_000: 10_000} {
		for range 100 {
			if p := pause(attempt).Milliseconds(); p < longest/2 || p > longest {
				t.Fatalf("pause after attempt %d is %d ms, want %d to %d", attempt, p, longest/2, longest)
			}
		}
	}
}
