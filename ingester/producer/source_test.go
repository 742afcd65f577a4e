package producer

import (
	"context"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/logpipeline/logpipeline/ingester/record"
)

// source is a queue as Take promises it, and the account of its batches.
type source struct {
	batches chan *record.Batch
	mu      sync.Mutex
	held    int64 // bytes not released
}

func (s *source) Reserve(bytes int64) error { s.Release(-bytes); return nil }
func (s *source) Cancel(bytes int64)        { s.Release(bytes) }

// newSource holds the given batches.
func newSource(batches ...*record.Batch) *source {
	s := &source{batches: make(chan *record.Batch, 10_000)}
	s.put(batches...)
	return s
}

func (s *source) put(batches ...*record.Batch) {
	for _, b := range batches {
		b.Account = s
		s.Release(-b.Reserved)
		s.batches <- b
	}
}

func (s *source) close() { close(s.batches) }

func (s *source) Release(bytes int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.held -= bytes
}

func (s *source) reserved() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.held
}

// TakeOlder leaves what is there to Take; that of the real queue has tests of
// its own.
func (s *source) TakeOlder(_ time.Time, into []*record.Batch) ([]*record.Batch, error) {
	return into, nil
}

func (s *source) Take(ctx context.Context, into []*record.Batch, maxRecords int, maxBytes int64, maxDelay time.Duration, _ <-chan struct{}) ([]*record.Batch, error) {
	var timer <-chan time.Time
	for n := 0; ; {
		select {
		case b, open := <-s.batches:
			if !open && n == 0 {
				return into, io.EOF
			}
			if !open {
				return into, nil
			}
			into = append(into, b)
			maxRecords -= b.Len()
			maxBytes -= b.Bytes()
			n++
			if maxRecords <= 0 || maxBytes <= 0 {
				return into, nil
			}
			if timer == nil {
				timer = time.After(maxDelay)
			}
		case <-timer:
			return into, nil
		case <-ctx.Done():
			if n > 0 {
				return into, nil
			}
			return into, ctx.Err()
		}
	}
}

// watch gets the outcome of a batch, whether somebody waits for it or not, and
// remembers its records, which are gone by then.
type watch struct {
	outcome chan record.Outcome
	records []string
}

func (w *watch) Settled(o record.Outcome) { w.outcome <- o }

func watched(b *record.Batch) *watch { return b.Watcher.(*watch) }

func settled(b *record.Batch) chan record.Outcome { return watched(b).outcome }

func recordsOf(b *record.Batch) []string { return watched(b).records }

// newBatch holds one record for each text, as a request would.
func newBatch(t testing.TB, id string, texts ...string) *record.Batch {
	t.Helper()
	b := record.NewBatch(id)
	b.Received = time.UnixMilli(1_700_000_000_000)
	b.Reserved = 1000
	var records []string
	for _, text := range texts {
		records = append(records, value(text))
	}
	fill(t, b, records)
	return b
}

// fill parses records into a batch.
func fill(t testing.TB, b *record.Batch, records []string) {
	t.Helper()
	b.Watcher = &watch{outcome: make(chan record.Outcome, 1), records: records}
	if err := record.ParseNDJSON(b, []byte(strings.Join(records, "\n")), record.Limits{MaxRecordBytes: 1 << 24, MaxDepth: 8}); err != nil {
		t.Fatal(err)
	}
}

// value is the record of a text.
func value(text string) string { return `{"text":"` + text + `"}` }

// outcome is what became of the batch; it must be known by now.
func outcome(t testing.TB, b *record.Batch) record.Outcome {
	t.Helper()
	select {
	case o := <-settled(b):
		settled(b) <- o // for whoever asks again
		return o
	default:
		t.Fatalf("batch %s was not completed", b.ID)
		return record.Outcome{}
	}
}
