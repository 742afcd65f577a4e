package httpapi

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/logpipeline/logpipeline/ingester/record"
)

func (in *intake) postKeyed(t *testing.T, key, body string) answer {
	t.Helper()
	return in.send(t, "POST", "/logs", body, "Content-Type", "application/json", "Idempotency-Key", key)
}

func (a answer) replayed() bool { return a.header.Get("Idempotency-Replayed") == "true" }

// A repetition is answered as the first request was, and nothing is taken twice.
func TestRepetitionIsAnsweredAsTheFirst(t *testing.T) {
	for name, change := range map[string]func(*Options, *producerQueue){"produced": nil, "queued": queued, "spooled": spooled} {
		t.Run(name, func(t *testing.T) {
			in := start(t, change)
			first := in.postKeyed(t, `"k 1"`, `[{"a":1},{"b":2}]`)
			if first.status/100 != 2 || first.replayed() {
				t.Fatalf("the first got %d %s", first.status, first.body)
			}
			// The records count, not how they were sent.
			again := in.send(t, "POST", "/logs", "{\"a\":1}\n{\"b\":2}\n", "Content-Type", "application/x-ndjson", "Idempotency-Key", `"k 1"`)
			if diff := cmp.Diff(first.body, again.body); diff != "" || again.status != first.status || !again.replayed() {
				t.Errorf("the repetition got %d %v (-first +again):\n%s", again.status, again.header, diff)
			}
			other := in.postKeyed(t, `"k 2"`, `[{"a":1},{"b":2}]`)
			if other.status != first.status || other.replayed() || other.batchID(t) == first.batchID(t) {
				t.Errorf("another key got %d %s", other.status, other.body)
			}
			in.queue.producing.Wait()
			if diff := cmp.Diff([]string{`{"a":1}`, `{"b":2}`, `{"a":1}`, `{"b":2}`}, in.queue.records); diff != "" {
				t.Errorf("records (-want +got):\n%s", diff)
			}
			if put := in.queue.put[0]; put.key != "k 1" || put.beside != claimOverhead+3 {
				t.Errorf("the batch has the key %q, and %d bytes reserved beside it", put.key, put.beside)
			}
			if n := testutil.ToFloat64(in.handler.metrics.replayed); n != 1 {
				t.Errorf("%v repetitions are counted", n)
			}
		})
	}
}

func TestKeyUsedForAnotherRequest(t *testing.T) {
	in := start(t, queued)
	if got := in.postKeyed(t, "k", `[{"a":1},{"b":2}]`); got.status != 202 {
		t.Fatal(got)
	}
	tests := []struct{ name, path, body string }{
		{"other records", "/logs", `[{"a":1},{"b":3}]`},
		{"fewer records", "/logs", `[{"a":1}]`},
		{"the same bytes in other records", "/logs", `[{"a":1}, {"b":2}, {}]`},
		{"another acknowledgement", "/logs?ack=produced", `[{"a":1},{"b":2}]`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := in.send(t, "POST", tt.path, tt.body, "Content-Type", "application/json", "Idempotency-Key", "k")
			if p := got.problem(t); got.status != 422 || p.Type != problemBase+"idempotency-key-reused" || got.replayed() {
				t.Errorf("got %d %s", got.status, got.body)
			}
		})
	}
	in.queue.producing.Wait()
	if len(in.queue.put) != 1 {
		t.Errorf("%d batches were taken", len(in.queue.put))
	}
}

// What became of the first request decides whether its key is free.
func TestKeyAfterAFailure(t *testing.T) {
	part := []record.Placement{{Topic: "logs", FirstOffset: 5, LastOffset: 5}}
	tests := []struct {
		name   string
		first  record.Outcome
		status int
		freed  bool
	}{
		{"nothing was delivered", record.Outcome{Err: record.ErrNotDelivered}, 503, true},
		{"a record is too large", record.Outcome{Err: record.ErrTooLarge}, 413, true},
		{"a record is refused", record.Outcome{Err: record.ErrRefused}, 422, true},
		{"some was delivered", record.Outcome{Placements: part, Err: record.ErrNotDelivered}, 503, false},
		{"nobody knows", record.Outcome{Err: fmt.Errorf("%s: %w", strings.Repeat("x", 500), record.ErrOutcomeUnknown)}, 504, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			outcomes := []record.Outcome{tt.first, {Placements: part}}
			in := start(t, func(_ *Options, q *producerQueue) {
				q.complete = func(*record.Batch) record.Outcome {
					o := outcomes[0]
					outcomes = outcomes[1:]
					return o
				}
			})
			first, again := in.postKeyed(t, "k", `{}`), in.postKeyed(t, "k", `{}`)
			if first.status != tt.status || first.replayed() {
				t.Errorf("the first got %d %s", first.status, first.body)
			}
			if tt.freed {
				if again.status != 200 || again.replayed() || len(outcomes) != 0 {
					t.Errorf("the repetition got %d %s", again.status, again.body)
				}
				return
			}
			want, got := first.problem(t), again.problem(t)
			want.Detail, got.Detail = "", "" // it may have been shortened
			if diff := cmp.Diff(want, got, ignoreUnexported); diff != "" || !again.replayed() || len(outcomes) != 1 {
				t.Errorf("replayed: %v; problem (-first +again):\n%s", again.replayed(), diff)
			}
		})
	}
}

func TestSpoolThatRefusesFreesTheKey(t *testing.T) {
	var spool *testSpool
	in := start(t, func(o *Options, q *producerQueue) {
		spooled(o, q)
		spool = o.Spool.(*testSpool)
		spool.refuse = record.ErrSpoolFull
	})
	if got := in.postKeyed(t, "k", `{}`); got.status != 503 {
		t.Errorf("got %d %s", got.status, got.body)
	}
	spool.refuse = nil
	if got := in.postKeyed(t, "k", `{}`); got.status != 202 || got.replayed() {
		t.Errorf("got %d %s", got.status, got.body)
	}
}

// held is an intake whose first batch is completed when letGo is closed.
func held(t *testing.T, timeout time.Duration, outcome func(*record.Batch) record.Outcome) (in *intake, holding <-chan struct{}, letGo chan struct{}) {
	began := make(chan struct{})
	letGo = make(chan struct{})
	in = start(t, func(o *Options, q *producerQueue) {
		o.AcknowledgeTimeout = timeout
		q.complete = func(b *record.Batch) record.Outcome { close(began); <-letGo; return outcome(b) }
	})
	return in, began, letGo
}

// joins returns a function that waits until a repetition, sent afterwards, waits
// for the first request, and holds nothing.
func (in *intake) joins(t *testing.T) func() {
	t.Helper()
	in.queue.mu.Lock()
	reserved := in.queue.reserved
	in.queue.peak = reserved
	in.queue.mu.Unlock()
	return func() {
		t.Helper()
		in.waitFor(t, "the repetition to wait, holding nothing", func() bool {
			in.queue.mu.Lock()
			defer in.queue.mu.Unlock()
			return in.queue.peak > reserved && in.queue.reserved == reserved
		})
	}
}

// A repetition that comes while the first is on its way waits with it, and
// holds nothing meanwhile.
func TestRepetitionWaitsForTheFirst(t *testing.T) {
	in, holding, letGo := held(t, time.Minute, deliver)
	answers := make(chan answer, 2)
	go func() { answers <- in.postKeyed(t, "k", `{"a":1}`) }()
	<-holding
	joined := in.joins(t)
	go func() { answers <- in.postKeyed(t, `"k"`, `{"a":1}`) }()
	joined()
	close(letGo)
	first, again := <-answers, <-answers
	if first.replayed() {
		first, again = again, first
	}
	if first.status != 200 || again.status != 200 || first.body != again.body || first.replayed() || !again.replayed() || len(in.queue.put) != 1 {
		t.Errorf("got %d %s and %d %s", first.status, first.body, again.status, again.body)
	}
}

// That is what the key is for: a shipper's first try ran into its time-out.
func TestRepetitionAfterTheClientLeft(t *testing.T) {
	tests := []struct {
		name    string
		outcome func(*record.Batch) record.Outcome
		status  int
		detail  string
	}{
		{"it was delivered", deliver, 200, ""},
		{"it was given up", func(*record.Batch) record.Outcome { return record.Outcome{Err: record.ErrNotDelivered} }, 503, "the client that sent them first had left, so they were handed over as dead letters, too"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			in, holding, letGo := held(t, time.Minute, tt.outcome)
			w := in.dial(t)
			w.write(t, head("Content-Length: 7", "Idempotency-Key: k")+`{"a":1}`)
			<-holding
			w.Close()
			expectCounted(t, in, "499", "outcome-unknown")
			joined := in.joins(t)
			again := make(chan answer, 1)
			go func() { again <- in.postKeyed(t, "k", `{"a":1}`) }()
			joined()
			close(letGo)
			got := <-again
			if got.status != tt.status || !got.replayed() || !strings.Contains(got.body, tt.detail) || len(in.queue.put) != 1 {
				t.Errorf("got %d %v %s", got.status, got.header, got.body)
			}
		})
	}
}

func TestRepetitionDoesNotWaitForever(t *testing.T) {
	in, holding, letGo := held(t, 50*time.Millisecond, deliver)
	first := in.postKeyed(t, "k", `{}`)
	<-holding
	again := in.postKeyed(t, "k", `{}`)
	close(letGo)
	if first.status != 504 || again.status != 504 || first.batchID(t) != again.batchID(t) {
		t.Errorf("got %d %s and %d %s", first.status, first.body, again.status, again.body)
	}
	in.queue.producing.Wait()
	if got := in.postKeyed(t, "k", `{}`); got.status != 200 || got.batchID(t) != first.batchID(t) || !got.replayed() {
		t.Errorf("afterwards: %d %s", got.status, got.body)
	}
}

// An empty batch is nothing to be taken twice.
func TestKeyOfAnEmptyBatch(t *testing.T) {
	in := start(t, nil)
	for range 2 {
		if got := in.postKeyed(t, "k", `[]`); got.status != 200 || got.replayed() {
			t.Errorf("got %d %s", got.status, got.body)
		}
	}
}

// The room for a key is reserved with the batch's.
func TestKeyNeedsRoom(t *testing.T) {
	in := start(t, nil)
	for _, step := range []struct {
		name, key string
		status    int
	}{{"with room", "k", 200}, {"without a key", "", 200}, {"with a key", "k 2", 413}} {
		headers := []string{"Content-Type", "application/json"}
		if step.key != "" {
			headers = append(headers, "Idempotency-Key", `"`+step.key+`"`)
		}
		if got := in.send(t, "POST", "/logs", `{}`, headers...); got.status != step.status {
			t.Errorf("%s: %d %s", step.name, got.status, got.body)
		}
		in.queue.mu.Lock()
		in.queue.maxBytes = in.queue.peak - 1
		in.queue.mu.Unlock()
	}
}

func TestIdempotencyKeys(t *testing.T) {
	long := strings.Repeat("k", maxKeyBytes)
	tests := []struct {
		name   string
		fields []string
		key    string // "" where it is refused
		detail string
	}{
		{"a string", []string{`"8e03978e-40d5-43e8-bc93-6894a57f9324"`}, "8e03978e-40d5-43e8-bc93-6894a57f9324", ""},
		{"without quotes", []string{`8e03978e-40d5-43e8-bc93-6894a57f9324`}, "8e03978e-40d5-43e8-bc93-6894a57f9324", ""},
		{"blanks in quotes", []string{`" a "`}, " a ", ""},
		{"escapes", []string{`"a\"b\\c"`}, `a"b\c`, ""},
		{"as long as can be", []string{`"` + long + `"`}, long, ""},
		{"too long", []string{long + "k"}, "", "has 257 characters, more than 256"},
		{"empty", []string{""}, "", "1 to 256 printable"},
		{"an empty string", []string{`""`}, "", "1 to 256 printable"},
		{"one quote", []string{`"`}, "", "1 to 256 printable"},
		{"no second quote", []string{`"a`}, "", "1 to 256 printable"},
		{"a quote inside", []string{`"a"b"`}, "", "1 to 256 printable"},
		{"an escaped last quote", []string{`"a\"`}, "", "1 to 256 printable"},
		{"an unknown escape", []string{`"a\n"`}, "", "1 to 256 printable"},
		{"parameters", []string{`"a";b=c`}, "", "1 to 256 printable"},
		{"blanks without quotes", []string{`a b`}, "", "1 to 256 printable"},
		{"not ASCII", []string{`"é"`}, "", "1 to 256 printable"},
		{"not ASCII beside an escape", []string{`"\\é"`}, "", "1 to 256 printable"},
		{"twice", []string{"a", "a"}, "", "there are 2 Idempotency-Key fields"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			key, p := keyOf(http.Header{"Idempotency-Key": tt.fields})
			switch {
			case key != tt.key:
				t.Errorf("got %q", key)
			case (p != nil) != (tt.key == ""), p != nil && (p.kind != malformedIdempotencyKey || !strings.Contains(p.Detail, tt.detail)):
				t.Errorf("got %+v", p)
			}
		})
	}
}

func FuzzIdempotencyKey(f *testing.F) {
	for _, seed := range []string{`"a"`, `a`, `"\\"`, `"\"`, `""`, "\"\x00\""} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, field string) {
		key, p := keyOf(http.Header{"Idempotency-Key": {field}})
		if (key == "") != (p != nil) || len(key) > maxKeyBytes {
			t.Fatalf("%q gives %q and %v", field, key, p)
		}
		quoted := `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(key) + `"`
		if again, p := keyOf(http.Header{"Idempotency-Key": {quoted}}); key != "" && (again != key || p != nil) {
			t.Errorf("%q is read as %q, but %s as %q", field, key, quoted, again)
		}
	})
}

// A malformed key is refused before the body is read.
func TestMalformedIdempotencyKey(t *testing.T) {
	in := start(t, nil)
	got := in.postKeyed(t, `"`, `{}`)
	if p := got.problem(t); got.status != 400 || p.Type != problemBase+"malformed-idempotency-key" || len(in.queue.put) != 0 {
		t.Errorf("got %d %s", got.status, got.body)
	}
}

// The window holds the last keys, within its bound.
func TestKeysAreBounded(t *testing.T) {
	k := newKeys()
	placements := make([]record.Placement, 10)
	const n = 20_000
	key := func(i int) owned { return owned{client: "client", key: fmt.Sprintf("key %d", i)} }
	waiting, _ := k.claim(owned{client: "client", key: "waiting"}, 1, "b", false)
	for i := range n {
		c, ours := k.claim(key(i), 1, "b", false)
		if !ours {
			t.Fatalf("key %d is taken", i)
		}
		outcome := record.Outcome{Placements: placements}
		if i%3 == 0 {
			outcome.Err = fmt.Errorf("%s: %w", strings.Repeat("x", 1000), record.ErrOutcomeUnknown)
		}
		k.settle(c, outcome)
	}
	bytes, kept := int64(0), 0
	for c := k.oldest; c != nil; c = c.next {
		bytes += c.bytes()
		kept++
	}
	if bytes != k.bytes || bytes > keyBytes || len(k.claims) != kept+1 {
		t.Errorf("%d claims take %d bytes; %d and %d are counted", kept, bytes, len(k.claims), k.bytes)
	}
	if kept < 4000 {
		t.Errorf("only %d claims are kept", kept)
	}
	for i := range n {
		if remembered := k.claims[key(i)] != nil; remembered != (i >= n-kept) {
			t.Fatalf("key %d of %d is remembered: %v", i, n, remembered)
		}
	}
	if c, ours := k.claim(owned{client: "client", key: "waiting"}, 1, "c", false); ours || c != waiting {
		t.Error("a key whose batch is on its way was forgotten")
	}
	if _, ours := k.claim(owned{client: "another client", key: "waiting"}, 1, "c", false); !ours {
		t.Error("two clients share a key")
	}
	k.settle(waiting, record.Outcome{Placements: make([]record.Placement, keyBytes/placementBytes)})
	if k.bytes != 0 || k.oldest != nil || k.newest != nil {
		t.Errorf("a claim larger than the window leaves %d bytes", k.bytes)
	}
}
