package producer

import (
	"context"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/logpipeline/logpipeline/ingester/record"
)

// source is a queue as Take and Release promise it.
type source struct {
	batches chan *record.Batch
	mu      sync.Mutex
	held    int64 // bytes not released
}

// newSource holds the given batches.
func newSource(batches ...*record.Batch) *source {
	s := &source{batches: make(chan *record.Batch, 10_000)}
	s.put(batches...)
	return s
}

func (s *source) put(batches ...*record.Batch) {
	for _, b := range batches {
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

// TakeOlder leaves the time to Take; that of the real queue has tests of its own.
func (s *source) TakeOlder(_ time.Time, into []*record.Batch) ([]*record.Batch, error) {
	return into, nil
}

func (s *source) Take(ctx context.Context, into []*record.Batch, maxRecords int, maxBytes int64, maxDelay time.Duration) ([]*record.Batch, error) {
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

// newBatch holds one record for each text, as a request would.
func newBatch(t testing.TB, id string, texts ...string) *record.Batch {
	t.Helper()
	b := record.NewBatch(id)
	b.Received = time.UnixMilli(1_700_000_000_000)
	b.Reserved = 1000
	var body strings.Builder
	for _, text := range texts {
		fmt.Fprintln(&body, value(text))
	}
	if err := record.ParseNDJSON(b, []byte(body.String()), record.Limits{MaxRecordBytes: 1 << 24, MaxDepth: 8}); err != nil {
		t.Fatal(err)
	}
	return b
}

// value is the record of a text.
func value(text string) string { return `{"text":"` + text + `"}` }

// outcome is what became of the batch; it must be known by now.
func outcome(t testing.TB, b *record.Batch) record.Outcome {
	t.Helper()
	select {
	case o := <-b.Outcome():
		return o
	default:
		t.Fatalf("batch %s was not completed", b.ID)
		return record.Outcome{}
	}
}
