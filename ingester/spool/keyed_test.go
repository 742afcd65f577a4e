package spool

import (
	"log/slog"
	"os"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/logpipeline/logpipeline/ingester/queue"
	"github.com/logpipeline/logpipeline/ingester/record"
)

// remembered are the batches that Keyed tells of, and whether they are done.
type remembered struct {
	Batch seen
	Done  bool
}

func keysIn(t *testing.T, options Options) (all []remembered) {
	t.Helper()
	reg := prometheus.NewRegistry()
	s, err := Open(options, queue.New(testQueueBytes, reg), slog.New(slog.DiscardHandler), reg)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Keyed(func(b *record.Batch, done bool) { all = append(all, remembered{see(b), done}) }); err != nil {
		t.Error(err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	return all
}

// Whoever comes again after a restart is known by the key, also where the batch
// is far behind in the spool, or delivered and its segment still there.
func TestKeysAreKnownAfterARestart(t *testing.T) {
	options := small(t.TempDir())
	options.segmentBytes = 1 << 20
	s := start(t, options)
	s.append(3, 0, 1)
	s.deliver(s.take(1)...) // of two, the one that came first
	for n := 2; n < 4; n++ {
		b := s.reserve(batchOf(t, n, 3))
		b.Leave()
		if n == 2 {
			b.IdempotencyKey = ""
		}
		if err := s.Append(t.Context(), b); err != nil {
			t.Fatal(err)
		}
	}
	s.flushed()
	s.stop()
	want := []remembered{{seenOf(t, 0, 3, 0, 3), true}, {seenOf(t, 1, 3, 0, 3), false}, {seenOf(t, 3, 3, 0, 3), false}}
	for range 2 { // of this run, and of the one before it
		if diff := cmp.Diff(want, keysIn(t, options)); diff != "" {
			t.Errorf("batches with keys (-want +got):\n%s", diff)
		}
	}
	s = start(t, options)
	if n := len(s.take(3)); n != 3 {
		t.Errorf("%d batches are fed", n)
	}
}

// What the disk can't read has no key, and stops no other.
func TestKeysOfADamagedSpool(t *testing.T) {
	options := small(t.TempDir())
	s := start(t, options)
	s.append(3, 0, 1, 2)
	s.flipDataOf(2)
	s.stop()
	want := []remembered{{seenOf(t, 0, 3, 0, 3), false}, {seenOf(t, 2, 3, 0, 3), false}}
	if diff := cmp.Diff(want, keysIn(t, options)); diff != "" {
		t.Errorf("batches with keys (-want +got):\n%s", diff)
	}
}

// A segment of the release before is read: its batches had no flags, so that
// their clients may hold receipts.
func TestFormatVersion1(t *testing.T) {
	dir := t.TempDir()
	head := fileHeader{number: 1, first: 1, created: received(0)}.encode()
	head[8] = 1
	copy(head[12:], crcOf(head[:12]))
	copy(head[48:], crcOf(head[:48]))
	b := batchOf(t, 0, 2)
	meta := appendDataHead(nil, b)
	data := slices.Concat(b.Record(0), b.Record(1))
	meta = append(meta, byte(len(b.Record(0))), byte(len(b.Record(1))))
	content := slices.Concat(head, sealed(kindData, 2, 1, meta, data))
	if err := os.WriteFile(segmentPath(dir, 1), content, 0o600); err != nil {
		t.Fatal(err)
	}
	want := seenOf(t, 0, 2, 0, 2)
	want.Acknowledged = true
	s := start(t, small(dir))
	s.deliver(s.expect(want)...)
	s.append(2, 1)
	s.expect(seenOf(t, 1, 2, 0, 2))
	s.stop()
	sound(t, dir)
	segments := segmentFiles(t, dir)
	written, err := os.ReadFile(segments[len(segments)-1])
	if err != nil || written[8] != formatVersion {
		t.Errorf("a segment is written in version %d: %v", written[8], err)
	}
}
