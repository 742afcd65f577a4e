package journal

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"github.com/logpipeline/logpipeline/ingester/config"
	"github.com/logpipeline/logpipeline/ingester/queue"
	"github.com/logpipeline/logpipeline/ingester/record"
	"github.com/logpipeline/logpipeline/ingester/segment"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const topic = "logs"

// at is when the n-th test batch is received: ten to an hour.
func at(n int) time.Time { return time.Unix(1795435200, 0).Add(time.Duration(n) * 6 * time.Minute) }

func lineOf(n, i int) string {
	return fmt.Sprintf(`{"batch":%d,"record":%d,"text":"%s"}`, n, i, strings.Repeat("x", n%7))
}

// linesFrom are those of the test batches from, and without, to, of so many
// records each.
func linesFrom(from, to, records int) (lines []string) {
	for n := from; n < to; n++ {
		for i := range records {
			lines = append(lines, lineOf(n, i))
		}
	}
	return lines
}

func newRegistry() *prometheus.Registry { return prometheus.NewRegistry() }

func quiet() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

// running is a journal and its storer, in a directory of their own.
type running struct {
	*Journal
	t        testing.TB
	queue    *queue.Queue
	registry *prometheus.Registry
	storer   *Storer
	cancel   context.CancelFunc
	written  chan struct{}
	stored   chan error
}

type setting struct {
	journalDir, dataDir string
	maxBytes, fileBytes int64
	segment             config.Segment
	chain               func(Chain) Chain
}

// settings are those of a new place.
func settings(t testing.TB) setting {
	dir := t.TempDir()
	return setting{
		journalDir: filepath.Join(dir, "journal"), dataDir: filepath.Join(dir, "data"), maxBytes: 64 << 20, fileBytes: 4 << 10,
		segment: config.Segment{MaxBytes: 4 << 10, MaxAgeSeconds: 3600, Compression: config.CompressionNone},
		chain:   func(c Chain) Chain { return c },
	}
}

// open opens the journal, but neither writes nor stores.
func (s setting) open(t testing.TB) *running {
	t.Helper()
	r := &running{t: t, registry: prometheus.NewRegistry(), written: make(chan struct{}), stored: make(chan error, 1)}
	r.queue = queue.New(64<<20, r.registry)
	var err error
	r.Journal, err = Open(Options{Dir: s.journalDir, MaxBytes: s.maxBytes, Topic: topic, fileBytes: s.fileBytes}, r.queue, quiet(), r.registry)
	if err != nil {
		t.Fatal(err)
	}
	store, err := segment.OpenDirectory(s.dataDir, s.segment, quiet(), r.registry)
	if err != nil {
		t.Fatal(err)
	}
	open := func(ctx context.Context, id string, first int64) (Chain, error) {
		c, err := store.Open(ctx, topic, id, 0, func(context.Context) (int64, error) { return first, nil })
		if err != nil {
			return nil, err
		}
		return s.chain(c), nil
	}
	r.storer = NewStorer(r.Journal, open, config.Retention{}, time.Minute, quiet())
	return r
}

// start opens and runs both. With storing false nothing leaves the journal.
func (s setting) start(t testing.TB, storing bool) *running {
	t.Helper()
	r := s.open(t)
	if err := r.storer.Open(context.WithoutCancel(t.Context())); err != nil {
		t.Fatal(err)
	}
	var ctx context.Context
	ctx, r.cancel = context.WithCancel(context.WithoutCancel(t.Context()))
	t.Cleanup(r.crash)
	go func() { r.Run(ctx); close(r.written) }()
	if storing {
		go func() { r.stored <- r.storer.Run(ctx) }()
	} else {
		r.storer.closeChain()
		r.stored <- nil
	}
	return r
}

// stop is the end in order.
func (r *running) stop() {
	r.t.Helper()
	r.queue.Close()
	err := <-r.stored
	r.stored <- nil
	<-r.written
	if err != nil {
		r.t.Fatal(err)
	}
}

// crash ends both at once: what is not sealed stays in the journal.
func (r *running) crash() {
	r.cancel()
	<-r.stored
	r.stored <- nil
	<-r.written
}

// post hands a test batch over and returns its outcome.
func (r *running) post(n, records int) record.Outcome {
	b := record.NewBatch(fmt.Sprint("batch-", n))
	var body bytes.Buffer
	for i := range records {
		body.WriteString(lineOf(n, i) + "\n")
	}
	if err := record.ParseNDJSON(b, body.Bytes(), record.Limits{MaxRecordBytes: 1 << 20, MaxDepth: 2}); err != nil {
		panic(err)
	}
	return r.put(b, at(n))
}

func (r *running) put(b *record.Batch, received time.Time) record.Outcome {
	b.Received, b.Account, b.Reserved = received, r.queue.NewAccount(), b.Memory()
	if err := b.Account.Reserve(b.Reserved); err != nil {
		return record.Outcome{Err: err}
	}
	if err := r.queue.Put(b); err != nil {
		return record.Outcome{Err: err}
	}
	return <-b.Outcome()
}

// take posts test batches one after the other, all of which have to be taken.
func (r *running) take(from, to, records int) {
	r.t.Helper()
	for n := from; n < to; n++ {
		first := int64(n * records)
		want := record.Outcome{Placements: []record.Placement{{Topic: topic, FirstOffset: first, LastOffset: first + int64(records) - 1}}}
		if diff := cmp.Diff(want, r.post(n, records)); diff != "" {
			r.t.Fatalf("batch %d (-want +got):\n%s", n, diff)
		}
	}
}

// stored are the lines of the segments, which have to be proven, and the
// offsets that are recorded as gaps.
func (s setting) stored(t testing.TB) (lines []string, gaps [][2]int64) {
	t.Helper()
	report, err := segment.Verify(t.Context(), s.dataDir)
	if err != nil || !report.Complete {
		t.Fatalf("verify: %v, %+v", err, report)
	}
	for _, chain := range report.Chains {
		for _, gap := range chain.Gaps {
			gaps = append(gaps, [2]int64{gap.FirstOffset, gap.NextOffset})
		}
	}
	for line, err := range segment.Records(t.Context(), s.dataDir, topic, -1) {
		if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, string(bytes.TrimSuffix(line.Bytes, newline)))
	}
	return lines, gaps
}

// checkStored checks that exactly these lines are stored, in this order.
func (s setting) checkStored(t testing.TB, want []string) {
	t.Helper()
	got, gaps := s.stored(t)
	if diff := cmp.Diff(want, got); diff != "" || gaps != nil {
		t.Errorf("gaps %v; stored (-want +got):\n%s", gaps, diff)
	}
}

// files are the names in the journal's folder.
func (s setting) files(t testing.TB) (names []string) {
	t.Helper()
	files, err := os.ReadDir(s.journalDir)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		names = append(names, f.Name())
	}
	return names
}

// metric reads a counter or a gauge of the registry.
func (r *running) metric(name string) (sum float64) {
	r.t.Helper()
	families, err := r.registry.Gather()
	if err != nil {
		r.t.Fatal(err)
	}
	for _, family := range families {
		if family.GetName() != name {
			continue
		}
		for _, m := range family.GetMetric() {
			sum += m.GetCounter().GetValue() + m.GetGauge().GetValue()
		}
		return sum
	}
	r.t.Fatalf("there is no metric %s", name)
	return 0
}

func eventually(t testing.TB, what string, check func() bool) {
	t.Helper()
	for deadline := time.Now().Add(60 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if check() {
			return
		}
	}
	t.Fatalf("not %s within 60 s", what)
}

// all posts test batches from several clients at once, and returns the lines
// of those that were taken, by their first offsets.
func (r *running) all(from, to, clients int) map[int64][]string {
	var mu sync.Mutex
	taken := map[int64][]string{}
	next := make(chan int)
	var posting sync.WaitGroup
	for range clients {
		posting.Go(func() {
			for n := range next {
				records := 1 + n%5
				if o := r.post(n, records); o.Err == nil {
					mu.Lock()
					taken[o.Placements[0].FirstOffset] = linesFrom(n, n+1, records)
					mu.Unlock()
				}
			}
		})
	}
	for n := from; n < to; n++ {
		next <- n
	}
	close(next)
	posting.Wait()
	return taken
}
