package spool

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"github.com/logpipeline/logpipeline/ingester/queue"
	"github.com/logpipeline/logpipeline/ingester/record"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		if os.Getenv(childFills) != "" {
			runFiller(dir)
			return
		}
		runChild(dir)
		return
	}
	goleak.VerifyTestMain(m)
}

// received is when test batches were received, in the order of their numbers.
func received(n int) time.Time {
	return time.Unix(1795435200, 0).Add(time.Duration(n) * time.Millisecond)
}

// recordOf is the i-th record of the n-th test batch.
func recordOf(n, i int) string {
	return fmt.Sprintf(`{"batch":%d,"record":%d,"text":"%s"}`, n, i, strings.Repeat("x", n%7))
}

// batchOf returns the n-th test batch, of so many records, with its headers.
func batchOf(t testing.TB, n, records int) *record.Batch {
	t.Helper()
	b, err := makeBatch(n, records)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func makeBatch(n, records int) (*record.Batch, error) {
	b := record.NewBatch(fmt.Sprint("batch-", n))
	var body bytes.Buffer
	for i := range records {
		body.WriteString(recordOf(n, i) + "\n")
	}
	b.Received, b.IdempotencyKey, b.Acknowledged = received(n), fmt.Sprint("key-", n), n%3 > 0
	b.Headers = []record.Header{{Key: "tenant", Value: []byte("a")}, {Key: "empty", Value: []byte{}}, {Key: "none"}}
	return b, record.ParseNDJSON(b, body.Bytes(), record.Limits{MaxRecordBytes: 1 << 20, MaxDepth: 2})
}

// seen is what of a batch must survive.
type seen struct {
	ID, Key      string
	Acknowledged bool
	Received     int64
	Headers      []record.Header
	First        int
	Records      []string
}

func see(b *record.Batch) seen {
	s := seen{ID: b.ID, Key: b.IdempotencyKey, Acknowledged: b.Acknowledged, Received: b.Received.UnixNano(), Headers: b.Headers, First: b.FirstRecord}
	for i := range b.Len() {
		s.Records = append(s.Records, string(b.Record(i)))
	}
	return s
}

// seenOf is what see makes of the records from, and without, to of a test
// batch.
func seenOf(t testing.TB, n, records, from, to int) seen {
	s := see(batchOf(t, n, records))
	s.First, s.Records = from, s.Records[from:to]
	return s
}

// running is a spool whose Run runs, and the queue that it feeds.
type running struct {
	*Spool
	t        testing.TB
	queue    *queue.Queue
	account  record.Account // of the client
	registry *prometheus.Registry
	said     *safeBuffer
	reopened []record.Reopened
	stop     func() // waits for Run, and closes
	sequence int32
}

type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *safeBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *safeBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

const testQueueBytes = 1 << 20

// small is a spool with small segments.
func small(dir string) Options {
	return Options{Dir: dir, MaxBytes: 64 << 20, segmentBytes: 4 << 10}
}

func start(t testing.TB, options Options) *running { return startWith(t, options, testQueueBytes) }

func startWith(t testing.TB, options Options, queueBytes int64) *running {
	t.Helper()
	r := &running{t: t, registry: prometheus.NewRegistry(), said: &safeBuffer{}}
	r.queue = queue.New(queueBytes, r.registry)
	r.account = r.queue.NewAccount()
	var err error
	r.Spool, err = Open(options, r.queue, slog.New(slog.NewTextHandler(r.said, nil)), r.registry)
	if err != nil {
		t.Fatal(err)
	}
	r.reopened = r.Reopened()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	r.stop = sync.OnceFunc(func() {
		cancel()
		if err := errors.Join(<-done, r.Close()); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(r.stop)
	return r
}

// reserve reserves for a batch, as the handler does.
func (r *running) reserve(b *record.Batch) *record.Batch {
	r.t.Helper()
	b.Account, b.Reserved = r.account, b.Memory()
	within(r.t, "the queue has room", func() bool { return r.account.Reserve(b.Reserved) == nil })
	return b
}

// append appends test batches, each with so many records, of which nobody
// waits for the outcome.
func (r *running) append(records int, numbers ...int) {
	r.t.Helper()
	for _, n := range numbers {
		b := r.reserve(batchOf(r.t, n, records))
		b.Leave()
		if err := r.Append(r.t.Context(), b); err != nil {
			r.t.Fatal(err)
		}
	}
}

// take takes n batches from the queue.
func (r *running) take(n int) (batches []*record.Batch) {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), time.Minute)
	defer cancel()
	for len(batches) < n {
		var err error
		if batches, err = r.queue.Take(ctx, batches, 1, 1<<30, 0, nil); err != nil {
			r.t.Fatalf("%d of %d batches came: %v\n%s", len(batches), n, err, r.said)
		}
	}
	return batches
}

// expect takes batches from the queue and compares them.
func (r *running) expect(want ...seen) []*record.Batch {
	r.t.Helper()
	batches := r.take(len(want))
	var got []seen
	for _, b := range batches {
		got = append(got, see(b))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		r.t.Fatalf("batches from the spool (-want +got):\n%s", diff)
	}
	return batches
}

// expectNothing checks that all there was has been fed and taken.
func (r *running) expectNothing() {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), time.Minute)
	defer cancel()
	if err := r.Drain(ctx); err != nil {
		r.t.Fatal(err)
	}
	rest, err := r.queue.TakeOlder(time.Now().Add(24*365*time.Hour), nil)
	if err != nil || len(rest) > 0 {
		r.t.Fatalf("%d more batches came, the first %v; error %v", len(rest), see(rest[0]), err)
	}
}

// assignmentOf is that of a record batch with all records of the batches.
func (r *running) assignmentOf(batches ...*record.Batch) record.Assignment {
	r.sequence++
	a := record.Assignment{Partition: 1, ProducerID: 7, ProducerEpoch: 2, Sequence: r.sequence, After: 40, Time: received(0)}
	for _, b := range batches {
		a.Sections = append(a.Sections, record.AssignedSection{Position: b.Position, From: b.FirstRecord, To: b.FirstRecord + b.Len()})
	}
	return a
}

func (r *running) assign(a record.Assignment) record.Assignment {
	r.t.Helper()
	if err := r.Assign(r.t.Context(), a); err != nil {
		r.t.Fatal(err)
	}
	return a
}

// deliver does what the producer does with batches that are acknowledged.
func (r *running) deliver(batches ...*record.Batch) {
	r.t.Helper()
	a := r.assign(r.assignmentOf(batches...))
	r.Settle(a)
	for _, b := range batches {
		b.Complete(record.Outcome{})
		b.Free()
	}
}

// flushed waits until the journal is durable and entered.
func (r *running) flushed() {
	r.t.Helper()
	within(r.t, "the journal is written", func() bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		return len(r.pending) == 0
	})
	r.assign(record.Assignment{Partition: 99, Sequence: r.sequence})
}

func (r *running) undone() uint64 {
	n, _ := r.left()
	return n
}

// within waits for a condition.
func within(t testing.TB, what string, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !condition(); {
		if time.Now().After(deadline) {
			t.Fatalf("not within a minute: %s", what)
		}
		time.Sleep(time.Millisecond)
	}
}

// segmentFiles returns the names of the segments.
func segmentFiles(t testing.TB, dir string) []string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "*"+segmentSuffix))
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(names)
	return names
}

func numbersFrom(from, to int) (numbers []int) {
	for n := from; n < to; n++ {
		numbers = append(numbers, n)
	}
	return numbers
}

// seenAll is seenOf for whole batches of so many records.
func seenAll(t testing.TB, records int, numbers ...int) (all []seen) {
	for _, n := range numbers {
		all = append(all, seenOf(t, n, records, 0, records))
	}
	return all
}

func sound(t testing.TB, dir string) Report {
	t.Helper()
	report, err := Inspect(dir)
	if err != nil {
		t.Fatal(err)
	}
	if !report.Sound() {
		t.Errorf("damage: %v", report.Damages)
	}
	return report
}

// syncCount is how often a group has been synced.
func syncCount(t testing.TB, registry *prometheus.Registry) uint64 {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == "logpipeline_spool_fsync_duration_seconds" {
			return f.GetMetric()[0].GetHistogram().GetSampleCount()
		}
	}
	t.Fatal("the histogram isn't there")
	return 0
}
