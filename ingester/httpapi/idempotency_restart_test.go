package httpapi

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/logpipeline/logpipeline/ingester/record"
)

// stored is a batch as the spool hands it back.
func stored(t *testing.T, id, key, body string, acknowledged bool) *record.Batch {
	t.Helper()
	b := record.NewBatch(id)
	if err := record.ParseJSON(b, []byte(body), record.Limits{MaxRecordBytes: 1 << 20, MaxDepth: 9}); err != nil {
		t.Fatal(err)
	}
	b.IdempotencyKey, b.Acknowledged = key, acknowledged
	b.Leave()
	return b
}

// The receipt of a request stands, also where its repetition finds another
// process, and whatever becomes of the batch there.
func TestRepetitionAfterARestart(t *testing.T) {
	const body = `[{"a":1},{"b":2}]`
	first := start(t, spooled).postKeyed(t, "k", body)
	in := start(t, spooled) // of the same instance
	b := stored(t, first.batchID(t), "k", body, true)
	repeat := func(when string) {
		t.Helper()
		again := in.send(t, "POST", "/logs", "{\"a\":1}\n{\"b\":2}\n", "Content-Type", "application/x-ndjson", "Idempotency-Key", `"k"`)
		if diff := cmp.Diff(first.body, again.body); diff != "" || again.status != 202 || !again.replayed() {
			t.Errorf("%s: got %d %v (-first +again):\n%s", when, again.status, again.header, diff)
		}
	}
	in.handler.Remember(b, false)
	repeat("before it is read back")
	in.handler.Recover(b)
	repeat("before it is delivered")
	b.Complete(record.Outcome{Err: record.ErrNotDelivered})
	repeat("after it was dead-lettered")
	if len(in.queue.put) != 0 {
		t.Errorf("%d batches were taken", len(in.queue.put))
	}
	if got := in.send(t, "POST", "/logs?ack=produced", body, "Content-Type", "application/json", "Idempotency-Key", "k"); got.status != 422 {
		t.Errorf("with another acknowledgement: %d %s", got.status, got.body)
	}
	other := in.postKeyed(t, "k", `[{"a":1}]`)
	if other.status != 202 || other.replayed() || other.batchID(t) == first.batchID(t) {
		t.Errorf("with other records: %d %s", other.status, other.body)
	}
	in.queue.producing.Wait()
}

const earlierID = testInstance + ".019ab1c2-0000-7000-8000-000000000001"

// Who waits for Kafka hears what becomes of the batch.
func TestRepetitionWaitsForARecoveredBatch(t *testing.T) {
	placed := []record.Placement{{Topic: "logs", Partition: 3, FirstOffset: 10, LastOffset: 10}}
	for _, tt := range []struct {
		name       string
		remembered bool
		outcome    record.Outcome
		status     int
		freed      bool // the key
	}{
		{"delivered", true, record.Outcome{Placements: placed}, 200, false},
		{"delivered, and known only since it was read back", false, record.Outcome{Placements: placed}, 200, false},
		{"not delivered", true, record.Outcome{Err: record.ErrNotDelivered}, 503, true},
		{"unknown", true, record.Outcome{Err: record.ErrOutcomeUnknown}, 504, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			in := start(t, spooled)
			b := stored(t, earlierID, "k", `[{}]`, false)
			if tt.remembered {
				in.handler.Remember(b, false)
			}
			in.handler.Recover(b)
			post := func() answer {
				return in.send(t, "POST", "/logs?ack=produced", `{}`, "Content-Type", "application/json", "Idempotency-Key", "k")
			}
			joined := in.joins(t)
			answered := make(chan answer, 1)
			go func() { answered <- post() }()
			joined()
			b.Complete(tt.outcome)
			if got := <-answered; got.status != tt.status || got.batchID(t) != earlierID || !got.replayed() {
				t.Errorf("got %d %s", got.status, got.body)
			}
			again := post()
			if again.replayed() == tt.freed || len(in.queue.put) == 0 == tt.freed {
				t.Errorf("then %d %s", again.status, again.body)
			}
			in.queue.producing.Wait()
		})
	}
}

// A batch whose client has left, and whose memory others needed, comes from the
// spool again in the same run.
func TestRepetitionOfWhatWasReadBack(t *testing.T) {
	letGo := make(chan struct{})
	in := start(t, func(o *Options, q *producerQueue) {
		spooled(o, q)
		o.AcknowledgeTimeout = time.Second
		q.complete = func(b *record.Batch) record.Outcome { <-letGo; b.Watcher = nil; return deliver(b) } // the spool forgets it
	})
	defer func() { in.queue.producing.Wait() }()
	defer close(letGo)
	post := func() answer {
		return in.send(t, "POST", "/logs?ack=produced", `{}`, "Content-Type", "application/json", "Idempotency-Key", "k")
	}
	first := post()
	if first.status != 504 {
		t.Fatalf("got %d %s", first.status, first.body)
	}
	b := stored(t, first.batchID(t), "k", `[{}]`, false)
	in.handler.Recover(b)
	b.Complete(record.Outcome{Placements: []record.Placement{{Topic: "logs"}}})
	if again := post(); again.status != 200 || !again.replayed() || again.batchID(t) != first.batchID(t) {
		t.Errorf("got %d %s", again.status, again.body)
	}
}

// What an earlier run was told of a batch, this one doesn't know, but for a
// receipt that was there before.
func TestRepetitionOfWhatIsDone(t *testing.T) {
	in := start(t, spooled)
	in.handler.Remember(stored(t, earlierID, "waited", `[{}]`, false), true)
	in.handler.Remember(stored(t, earlierID, "queued", `[{}]`, true), true)
	in.handler.Remember(stored(t, earlierID, "", `[{}]`, true), true)
	for key, want := range map[string]struct {
		query  string
		status int
	}{"waited": {"?ack=produced", 504}, "queued": {"", 202}} {
		got := in.send(t, "POST", "/logs"+want.query, `{}`, "Content-Type", "application/json", "Idempotency-Key", key)
		if got.status != want.status || !got.replayed() || got.batchID(t) != earlierID {
			t.Errorf("%s: got %d %s", key, got.status, got.body)
		}
	}
	if len(in.handler.keys.claims) != 2 {
		t.Errorf("%d keys are known", len(in.handler.keys.claims))
	}
}

// Whose key it was is not in the spool: the records tell.
func TestRecoveredKeysAreTheirRecords(t *testing.T) {
	k := newKeys()
	c, other := k.recover("k", 1, "b", false), k.recover("k", 2, "c", false)
	if k.recover("k", 1, "d", false) != nil || k.recover("k", 1, "b", false) != c {
		t.Error("the same key is claimed for another batch, or not found for its own")
	}
	for _, want := range []*claim{c, other} {
		if got, ours := k.claim(owned{client: "alice", key: "k"}, want.fingerprint, "e", false); got != want || ours {
			t.Errorf("got %+v, want %+v", got, want)
		}
	}
	if _, ours := k.claim(owned{client: "alice", key: "k"}, 3, "e", true); !ours {
		t.Error("other records are taken for a repetition")
	}
}

// A spool may hold any number of keys, of which no more are remembered than of
// others.
func TestRecoveredKeysAreBounded(t *testing.T) {
	k := newKeys()
	var recovered []*claim
	for i := range 20_000 {
		if c := k.recover(fmt.Sprintf("key %d", i), uint64(i+1), "b", i%2 == 0); c != nil {
			recovered = append(recovered, c)
		}
	}
	check := func() {
		t.Helper()
		bytes, kept := int64(0), 0
		for c := k.oldest; c != nil; c = c.next {
			bytes += c.bytes()
			kept++
		}
		if bytes != k.bytes || bytes > keyBytes || len(k.claims) > kept || kept < 4000 {
			t.Errorf("%d claims take %d bytes; %d and %d are counted", kept, bytes, len(k.claims), k.bytes)
		}
	}
	check()
	for i, c := range recovered { // most of them forgotten
		outcome := record.Outcome{Placements: make([]record.Placement, i%5)}
		if i%3 == 0 {
			outcome = record.Outcome{Err: record.ErrNotDelivered}
		}
		k.settle(c, outcome)
	}
	check()
}
