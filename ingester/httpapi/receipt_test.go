package httpapi

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/logpipeline/logpipeline/ingester/config"
	"github.com/logpipeline/logpipeline/ingester/record"
)

// testSpool hands batches on to a producer once they are "on disk".
type testSpool struct {
	queue  *producerQueue
	refuse error
	sync   chan struct{} // Append waits for it, unless it is nil

	mu       sync.Mutex
	appended int
}

func (s *testSpool) Append(ctx context.Context, b *record.Batch) error {
	if s.sync != nil {
		select {
		case <-s.sync:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if s.refuse != nil {
		return s.refuse
	}
	s.mu.Lock()
	s.appended++
	s.mu.Unlock()
	s.queue.produce(b)
	return nil
}

func queued(o *Options, _ *producerQueue) { o.Acknowledge = config.AcknowledgeQueued }

func spooled(o *Options, q *producerQueue) {
	o.Acknowledge, o.Spool = config.AcknowledgeQueued, &testSpool{queue: q}
}

func leaderOnly(change func(*Options, *producerQueue)) func(*Options, *producerQueue) {
	return func(o *Options, q *producerQueue) {
		change(o, q)
		o.RequiredAcks = config.RequiredAcksOne
	}
}

// A receipt says what it stands for.
func TestReceipts(t *testing.T) {
	const (
		producedReceipt = `{"batch":"ID","acknowledgement":"Produced","durability":"replicas","survives":"everything that the topic survives","records":2,"placements":[{"topic":"logs","partition":3,"firstOffset":10,"lastOffset":11}]}`
		queuedReceipt   = `{"batch":"ID","acknowledgement":"Queued","durability":%q,"survives":%q,"records":2,"placements":[]}`
	)
	inMemory := fmt.Sprintf(queuedReceipt, "memory", "nothing")
	onDisk := fmt.Sprintf(queuedReceipt, "spool", "a crash of the container, not the removal of the pod")
	tests := []struct {
		name    string
		change  func(*Options, *producerQueue)
		query   string
		status  int
		receipt string
		heard   bool // the producer is told that somebody waits
	}{
		{"produced", nil, "", 200, producedReceipt, true},
		{"produced, as asked", nil, "?ack=produced", 200, producedReceipt, true},
		{"queued in memory", queued, "", 202, inMemory, false},
		{"queued, as asked", queued, "?ack=queued", 202, inMemory, false},
		{"more than queued", queued, "?ack=produced", 200, producedReceipt, true},
		{"queued on disk", spooled, "", 202, onDisk, false},
		{"more than on disk", spooled, "?ack=produced", 200, producedReceipt, true},
		{"queued for the leader alone", leaderOnly(queued), "", 202, fmt.Sprintf(queuedReceipt, "memory", "nothing; once in Kafka, what the leader of the partition survives"), false},
		{"on disk for the leader alone", leaderOnly(spooled), "?ack=queued", 202, fmt.Sprintf(queuedReceipt, "spool", "a crash of the container, not the removal of the pod; once in Kafka, what the leader of the partition survives"), false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			in := start(t, tt.change)
			got := in.send(t, "POST", "/logs"+tt.query, `[{"a":1},{"b":2}]`, "Content-Type", "application/json")
			var named struct{ Batch string }
			if err := json.Unmarshal([]byte(got.body), &named); err != nil {
				t.Fatalf("%v in %s", err, got.body)
			}
			body := strings.ReplaceAll(got.body, named.Batch, "ID")
			if diff := cmp.Diff(tt.receipt+"\n", body); diff != "" || got.status != tt.status {
				t.Errorf("status %d, receipt (-want +got):\n%s", got.status, diff)
			}
			in.queue.producing.Wait()
			in.queue.mu.Lock()
			defer in.queue.mu.Unlock()
			if heard := in.queue.unheard == 0; heard != tt.heard || len(in.queue.put) != 1 {
				t.Errorf("the outcome was heard: %v, want %v; %d batches", heard, tt.heard, len(in.queue.put))
			}
			// A client that may have its receipt must not lose what it stands for.
			if in.queue.put[0].acknowledged == tt.heard {
				t.Errorf("the batch is acknowledged ahead of its outcome: %v", tt.heard)
			}
		})
	}
}

func journaled(o *Options, _ *producerQueue) { o.Journal = true }

func TestRefusedAcknowledgements(t *testing.T) {
	tests := []struct {
		name, query, problem, detail string
		change                       func(*Options, *producerQueue)
	}{
		{"weaker than configured", "?ack=queued", "weaker-acknowledgement", "(acknowledge: Produced)", nil},
		{"misspelt", "?acks=produced", "unknown-parameter", `the parameter "acks", but the only one that is known here is ack;`, queued},
		{"beside a parameter of others", "?ack=produced&tag=x", "unknown-parameter", `the parameter "tag"`, queued},
		{"weaker than a journal's", "?ack=queued", "weaker-acknowledgement", "(Persisted: the records are in its journal)", journaled},
		{"a journal's own", "?ack=persisted", "unknown-acknowledgement", `ack is ["persisted"]; leave it out,`, journaled},
		{"unknown", "?ack=persisted", "unknown-acknowledgement", `ack is ["persisted"]; ask for ack=produced or ack=queued`, nil},
		{"empty", "?ack=", "unknown-acknowledgement", `ack is [""]`, nil},
		{"twice", "?ack=queued&ack=produced", "unknown-acknowledgement", `ack is ["queued" "produced"]`, queued},
		{"all replicas where only the leader is asked", "?ack=produced", "unavailable-acknowledgement", "(producer.requiredAcks: One)", leaderOnly(queued)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			in := start(t, tt.change)
			got := in.send(t, "POST", "/logs"+tt.query, `{}`, "Content-Type", "application/json")
			if p := got.problem(t); got.status != 400 || p.Type != problemBase+tt.problem || !strings.Contains(p.Detail, tt.detail) || len(in.queue.put) > 0 {
				t.Errorf("got %d %s", got.status, got.body)
			}
		})
	}
}

// A receipt of what is queued doesn't wait for Kafka, but for the disk.
func TestQueuedWaitsForTheDiskAlone(t *testing.T) {
	synced, letGo := make(chan struct{}), make(chan struct{})
	in := start(t, func(o *Options, q *producerQueue) {
		o.Acknowledge, o.Spool = config.AcknowledgeQueued, &testSpool{queue: q, sync: synced}
		q.complete = func(b *record.Batch) record.Outcome { <-letGo; return deliver(b) }
	})
	first := make(chan answer, 1)
	go func() { first <- in.post(t, `{}`) }()
	in.waitFor(t, "the request", func() bool { return in.handler.inFlight.Load() == 1 })
	select {
	case got := <-first:
		t.Errorf("answered before the disk had it: %d", got.status)
	default:
	}
	close(synced)
	if got := <-first; got.status != 202 {
		t.Errorf("got %d %s", got.status, got.body)
	}
	close(letGo)
}

// Where Kafka is what keeps the spool full, the client is told so.
func TestRefusedByFullSpoolWhileKafkaIsAway(t *testing.T) {
	in := start(t, func(o *Options, q *producerQueue) {
		o.Acknowledge, o.Spool = config.AcknowledgeQueued, &testSpool{queue: q, refuse: record.ErrSpoolFull}
		o.Unreachable = func() bool { return true }
	})
	got := in.post(t, `{}`)
	if p := got.problem(t); p.Type != problemBase+"spool-full" || !strings.HasPrefix(p.Detail, "Kafka does not answer, and batch ") || got.header.Get("Retry-After") != "5" {
		t.Errorf("got %d %s", got.status, got.body)
	}
}

func TestRefusedBySpool(t *testing.T) {
	tests := []struct {
		name, query string
		err         error
		want        problem
		header      string // Retry-After
	}{
		{"full", "", fmt.Errorf("1 of 1 bytes: %w", record.ErrSpoolFull), problem{Type: "spool-full", Status: 503, Title: "The spool is full", Detail: "batch ID was not taken: 1 of 1 bytes: spool is full; retry later", Batch: "ID"}, "5"},
		{"full while more is asked", "?ack=produced", record.ErrSpoolFull, problem{Type: "spool-full", Status: 503, Title: "The spool is full", Detail: "batch ID was not taken: spool is full; retry later", Batch: "ID"}, "5"},
		{"stopping", "", record.ErrClosed, problem{Type: "draining", Status: 503, Title: "The server is shutting down", Detail: "batch ID was not taken: this server takes no more records; send them to another, or retry later", Batch: "ID"}, "1"},
		{"broken", "", fmt.Errorf("write: %w", context.DeadlineExceeded), problem{Type: "not-delivered", Status: 503, Title: "The records could not be delivered to Kafka", Detail: "batch ID was not delivered: write: context deadline exceeded; records are not in Kafka; none of its records is in Kafka, they may be sent again", Batch: "ID"}, "5"},
		{"broken, and perhaps written", "", fmt.Errorf("truncate: %w", record.ErrOutcomeUnknown), problem{Type: "outcome-unknown", Status: 504, Title: "It is not known whether the records are in Kafka", Detail: "batch ID may or may not be in Kafka: truncate: outcome is unknown; sending the records again may double them", Batch: "ID"}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			in := start(t, func(o *Options, q *producerQueue) {
				o.Acknowledge, o.Spool = config.AcknowledgeQueued, &testSpool{queue: q, refuse: tt.err}
			})
			answer := in.send(t, "POST", "/logs"+tt.query, `{}`, "Content-Type", "application/json")
			got := answer.problem(t)
			got.Detail, got.Batch = strings.ReplaceAll(got.Detail, got.Batch, "ID"), "ID"
			tt.want.Type = problemBase + tt.want.Type
			if diff := cmp.Diff(tt.want, got, ignoreUnexported); diff != "" {
				t.Errorf("problem (-want +got):\n%s", diff)
			}
			if got := answer.header.Get("Retry-After"); got != tt.header {
				t.Errorf("Retry-After is %q, want %q", got, tt.header)
			}
		})
	}
}

// A client that leaves while its batch waits for the disk takes it with it.
func TestClientLeavesBeforeTheDisk(t *testing.T) {
	in := start(t, func(o *Options, q *producerQueue) {
		o.Acknowledge, o.Spool = config.AcknowledgeQueued, &testSpool{queue: q, sync: make(chan struct{})}
	})
	w := in.dial(t)
	w.write(t, head("Content-Length: 2")+`{}`)
	in.waitFor(t, "the request", func() bool { return in.handler.inFlight.Load() == 1 })
	w.Close()
	expectCounted(t, in, "499", "not-delivered")
}

// Names that no Kafka and no host has are still JSON.
func TestReceiptsAreJSON(t *testing.T) {
	placements := []record.Placement{{Topic: "a\"b\\c\x01é", Partition: 1, FirstOffset: -1, LastOffset: 1 << 62}, {Topic: "logs"}}
	r := &receipt{batch: "pod \"1\"", promise: newPromises(Options{}).ofProduced, records: 3, placements: placements}
	var got struct {
		Batch      string
		Records    int
		Placements []record.Placement
	}
	if err := json.Unmarshal(writeReceipt(nil, r, nil).body, &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(placements, got.Placements); diff != "" || got.Batch != r.batch || got.Records != 3 {
		t.Errorf("got %+v, placements (-want +got):\n%s", got, diff)
	}
}

func TestHeadersTravelWithTheRecords(t *testing.T) {
	in := start(t, func(o *Options, _ *producerQueue) { o.Headers = []string{"x-tenant", "Traceparent", "X-Absent"} })
	got := in.send(t, "POST", "/logs", `{}`, "Content-Type", "application/json", "X-Tenant", "a", "X-Tenant", "b", "traceparent", "00-1")
	if got.status != 200 {
		t.Fatal(got)
	}
	want := []record.Header{{Key: "x-tenant", Value: []byte("a")}, {Key: "x-tenant", Value: []byte("b")}, {Key: "Traceparent", Value: []byte("00-1")}}
	if diff := cmp.Diff(want, in.queue.put[0].headers); diff != "" {
		t.Errorf("headers (-want +got):\n%s", diff)
	}
	if got, want := in.queue.put[0].beside, int64(3*headerOverhead+6); got != want {
		t.Errorf("%d bytes are reserved for them, want %d", got, want)
	}
}

// Exchanges are used again: none must see another's.
func TestRequestsKeepApart(t *testing.T) {
	in := start(t, func(_ *Options, q *producerQueue) {
		q.complete = func(b *record.Batch) record.Outcome {
			n := int64(b.Len())
			return record.Outcome{Placements: []record.Placement{{Topic: "logs", Partition: int32(n), FirstOffset: n, LastOffset: 2 * n}}}
		}
	})
	var clients sync.WaitGroup
	var mu sync.Mutex
	seen := map[string]bool{}
	for client := range 8 {
		clients.Go(func() {
			for i := range 60 {
				n := client*60 + i + 1
				if i%5 == 4 { // one of five is refused
					if got := in.post(t, strings.Repeat("[", n)); got.status != 400 {
						t.Errorf("got %d %s", got.status, got.body)
					}
					continue
				}
				got := in.post(t, "["+strings.Repeat("{},", n-1)+"{}]")
				id := got.batchID(t)
				want := fmt.Sprintf(`{"batch":%q,"acknowledgement":"Produced","durability":"replicas","survives":"everything that the topic survives","records":%d,"placements":[{"topic":"logs","partition":%d,"firstOffset":%d,"lastOffset":%d}]}`+"\n", id, n, n, n, 2*n)
				if got.status != 200 || got.body != want {
					t.Errorf("got %d %s, want %s", got.status, got.body, want)
				}
				mu.Lock()
				if seen[id] {
					t.Errorf("two batches are called %s", id)
				}
				seen[id] = true
				mu.Unlock()
			}
		})
	}
	clients.Wait()
}
