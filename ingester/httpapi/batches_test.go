package httpapi

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/logpipeline/logpipeline/ingester/record"
)

// lookedUp is what GET /logs/batches/{batch} says.
func (in *intake) lookedUp(t *testing.T, id string) batchReport {
	t.Helper()
	got := in.send(t, "GET", "/logs/batches/"+id, "")
	if got.status != 200 || got.header.Get("Content-Type") != "application/json" || got.header.Get("Cache-Control") != "no-store" {
		t.Fatalf("got %d %v %s", got.status, got.header, got.body)
	}
	var report batchReport
	if err := json.Unmarshal([]byte(got.body), &report); err != nil {
		t.Fatalf("%v in %s", err, got.body)
	}
	return report
}

// batchID returns the id that a receipt or a problem names.
func (a answer) batchID(t *testing.T) string {
	t.Helper()
	var named struct{ Batch string }
	if err := json.Unmarshal([]byte(a.body), &named); err != nil || named.Batch == "" {
		t.Fatalf("%v in %s", err, a.body)
	}
	return named.Batch
}

func TestLookUp(t *testing.T) {
	const letters = "; nobody waited for the outcome any more, so they were handed over as dead letters"
	one := []record.Placement{{Topic: "logs", Partition: 7, FirstOffset: 5, LastOffset: 5}}
	two := append(slices.Clone(one), record.Placement{Topic: "logs", Partition: 8, FirstOffset: 6, LastOffset: 6})
	some := make([]record.Placement, detailPlacements+9)
	for i := range some {
		some[i] = record.Placement{Topic: "logs", Partition: int32(i), FirstOffset: 1, LastOffset: 1}
	}
	refusal := fmt.Errorf("broker 1: %w", record.ErrNotDelivered)
	doubt := fmt.Errorf("broker 1: %w", record.ErrOutcomeUnknown)
	tests := []struct {
		name    string
		change  func(*Options, *producerQueue)
		outcome record.Outcome
		want    batchReport
	}{
		{"produced", nil, record.Outcome{Placements: one}, batchReport{State: "produced", Acknowledgement: "Produced", Durability: "replicas", Placements: one}},
		{"in two partitions", nil, record.Outcome{Placements: two}, batchReport{State: "produced", Acknowledgement: "Produced", Durability: "replicas", Placements: two}},
		{"in very many partitions", nil, record.Outcome{Placements: some}, batchReport{State: "produced", Acknowledgement: "Produced", Durability: "replicas", Placements: some[:detailPlacements], OmittedPlacements: 9}},
		{"delivered in part", nil, record.Outcome{Placements: one, Err: refusal}, batchReport{State: "partly-produced", Detail: "broker 1: records are not in Kafka; the records that no placement names are not in Kafka", Acknowledgement: "Produced", Durability: "replicas", Placements: one}},
		{"refused", nil, record.Outcome{Err: refusal}, batchReport{State: "refused", Detail: "broker 1: records are not in Kafka; no record is in Kafka", Acknowledgement: "Produced"}},
		{"unknown", nil, record.Outcome{Err: doubt}, batchReport{State: "unknown", Detail: "broker 1: outcome is unknown; the records may or may not be in Kafka", Acknowledgement: "Produced"}},
		{"queued and produced", queued, record.Outcome{Placements: one}, batchReport{State: "produced", Acknowledgement: "Queued", Durability: "replicas", Placements: one}},
		{"queued and produced to the leader", leaderOnly(queued), record.Outcome{Placements: one}, batchReport{State: "produced", Acknowledgement: "Queued", Durability: "leader", Placements: one}},
		{"queued and not delivered", queued, record.Outcome{Err: refusal}, batchReport{State: "dead-lettered", Detail: "broker 1: records are not in Kafka; the records that no placement names are not in Kafka" + letters, Acknowledgement: "Queued"}},
		{"queued and unknown", queued, record.Outcome{Err: doubt}, batchReport{State: "unknown", Detail: "broker 1: outcome is unknown; the records may or may not be in Kafka" + letters + ", marked unknown", Acknowledgement: "Queued"}},
		{"refused by the spool", func(o *Options, q *producerQueue) { o.Spool = &testSpool{queue: q, refuse: record.ErrSpoolFull} }, record.Outcome{}, batchReport{State: "refused", Detail: "spool is full; no record is in Kafka", Acknowledgement: "Produced"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			in := start(t, func(o *Options, q *producerQueue) {
				q.complete = func(*record.Batch) record.Outcome { return tt.outcome }
				if tt.change != nil {
					tt.change(o, q)
				}
			})
			before := time.Now().Truncate(time.Millisecond)
			id := in.post(t, `[{},{}]`).batchID(t)
			in.queue.producing.Wait()
			got := in.lookedUp(t, id)
			if got.Received.Before(before) || got.Received.After(time.Now()) || got.Received.Location() != time.UTC {
				t.Errorf("received at %v, want after %v", got.Received, before)
			}
			got.Received = time.Time{}
			tt.want.Batch, tt.want.Records = id, 2
			if tt.want.Placements == nil {
				tt.want.Placements = []record.Placement{}
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("report (-want +got):\n%s", diff)
			}
		})
	}
}

// What a batch is waiting for is seen, too: its durability is then that of the
// receipt, if it has one.
func TestLookUpOfWaitingBatches(t *testing.T) {
	for _, tt := range []struct {
		name       string
		change     func(*Options, *producerQueue)
		durability string
	}{{"queued", queued, "memory"}, {"spooled", spooled, "spool"}} {
		t.Run(tt.name, func(t *testing.T) {
			letGo := make(chan struct{})
			in := start(t, func(o *Options, q *producerQueue) {
				tt.change(o, q)
				q.complete = func(b *record.Batch) record.Outcome { <-letGo; return deliver(b) }
			})
			id := in.post(t, `{}`).batchID(t)
			got := in.lookedUp(t, id)
			want := batchReport{Batch: id, State: "waiting", Received: got.Received, Records: 1, Acknowledgement: "Queued", Durability: tt.durability, Placements: []record.Placement{}}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("report (-want +got):\n%s", diff)
			}
			close(letGo)
			in.waitFor(t, "the batch to be produced", func() bool { return in.lookedUp(t, id).State == "produced" })
		})
	}
}

// A client that didn't wait long enough can ask what became of its batch.
func TestLookUpAfterATimeout(t *testing.T) {
	for _, tt := range []struct {
		name    string
		outcome record.Outcome
		state   string
	}{
		{"it was produced", record.Outcome{Placements: []record.Placement{{Topic: "logs"}}}, "produced"},
		{"it was given up", record.Outcome{Err: record.ErrNotDelivered}, "dead-lettered"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			letGo := make(chan struct{})
			in := start(t, func(o *Options, q *producerQueue) {
				o.AcknowledgeTimeout = 20 * time.Millisecond
				q.complete = func(*record.Batch) record.Outcome { <-letGo; return tt.outcome }
			})
			got := in.post(t, `{}`)
			if got.status != 504 {
				t.Fatalf("got %d %s", got.status, got.body)
			}
			id := got.batchID(t)
			if got := in.lookedUp(t, id); got.State != "waiting" || got.Acknowledgement != "Produced" || got.Durability != "memory" {
				t.Errorf("before the outcome: %+v", got)
			}
			close(letGo)
			in.queue.producing.Wait()
			if state := in.lookedUp(t, id).State; state != tt.state || in.queue.unheard != 1 {
				t.Errorf("the state is %q, want %q; %d unheard", state, tt.state, in.queue.unheard)
			}
		})
	}
}

func TestLookUpOfOtherBatches(t *testing.T) {
	in := start(t, nil)
	id := uuid.Must(uuid.NewV7()).String()
	tests := []struct {
		name, id string
		want     problem
	}{
		{"another instance", "orders-ingester-7.logs." + id, problem{Type: "other-instance", Status: 404, Title: "Another instance took the batch", Detail: `the batch was taken by "orders-ingester-7.logs", and this is "` + testInstance + `"; ask there`, Owner: "orders-ingester-7.logs"}},
		{"forgotten", testInstance + "." + id, problem{Type: "unknown-batch", Status: 404, Title: "The batch is not remembered", Detail: `"` + testInstance + `" remembers the last 32768 batches since it was started, and this is none of them`}},
		{"no instance", id, problem{Type: "malformed-batch-id", Status: 400, Title: "That is no batch id", Detail: `"` + id + `" is no batch id; the member "batch" of a receipt is one`}},
		{"no UUID", testInstance + ".1", problem{Type: "malformed-batch-id", Status: 400, Title: "That is no batch id", Detail: `"` + testInstance + `.1" is no batch id; the member "batch" of a receipt is one`}},
		{"another version", "a." + uuid.NewString(), problem{Type: "malformed-batch-id", Status: 400}},
		{"a path", testInstance + "." + id + "/records", problem{Type: "malformed-batch-id", Status: 400}},
		{"very long", strings.Repeat("x", 5000), problem{Type: "malformed-batch-id", Status: 400, Title: "That is no batch id", Detail: `"` + strings.Repeat("x", 297) + `…" is no batch id; the member "batch" of a receipt is one`}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			answer := in.send(t, "GET", "/logs/batches/"+tt.id, "")
			got := answer.problem(t)
			tt.want.Type = problemBase + tt.want.Type
			if tt.want.Detail == "" {
				tt.want.Title, tt.want.Detail = got.Title, got.Detail
			}
			if diff := cmp.Diff(tt.want, got, ignoreUnexported); diff != "" || answer.status != tt.want.Status {
				t.Errorf("status %d, problem (-want +got):\n%s", answer.status, diff)
			}
		})
	}
}

// A batch of an earlier run that is delivered now can be looked up.
func TestRecoveredBatchesAreRemembered(t *testing.T) {
	in := start(t, queued)
	earlier := testInstance + "." + batchID(time.Now().Add(-time.Hour), math.MaxUint32, 7).String()
	b, foreign := record.NewBatch(earlier), record.NewBatch("elsewhere."+uuid.Must(uuid.NewV7()).String())
	in.handler.Recover(b)
	in.handler.Recover(foreign)
	if got := in.send(t, "GET", "/logs/batches/"+foreign.ID, ""); got.status != 404 || got.problem(t).Type != problemBase+"other-instance" {
		t.Errorf("the batch of another instance: %d %s", got.status, got.body)
	}
	if got := in.lookedUp(t, earlier).State; got != "waiting" {
		t.Errorf("the state is %q", got)
	}
	b.Watcher.Settled(deliver(b))
	if got := in.lookedUp(t, earlier).State; got != "produced" {
		t.Errorf("the state is %q", got)
	}
}

func TestBatchIDs(t *testing.T) {
	now := time.UnixMilli(1_750_000_000_123)
	for _, number := range []uint32{0, 1, 0xfffff, 0x100000, math.MaxUint32} {
		for _, random := range []uint64{0, 1, math.MaxUint64} {
			id := batchID(now, number, random)
			if id.Version() != 7 || id.Variant() != uuid.RFC4122 || numberOf(id) != number || !receivedAt(id).Equal(now) {
				t.Errorf("number %x: %s has version %d, variant %v, number %x, time %v", number, id, id.Version(), id.Variant(), numberOf(id), receivedAt(id))
			}
			instance, parsed, ok := parseBatchID(string(appendBatchID(nil, "a.b-0", id)))
			if instance != "a.b-0" || parsed != id || !ok {
				t.Errorf("%s is read as %q %s %v", id, instance, parsed, ok)
			}
		}
	}
	ids := []string{batchID(now, 1<<20-1, math.MaxUint64).String(), batchID(now, 1<<20, 0).String(), batchID(now.Add(time.Millisecond), 0, 0).String()}
	if !slices.IsSorted(ids) {
		t.Errorf("ids don't sort by time and number: %q", ids)
	}
}

// The table holds the last batches, within its bound, whatever their outcomes.
func TestBatchesAreBounded(t *testing.T) {
	b := newBatches()
	if size := int64(unsafe.Sizeof(entry{})) * rememberedBatches; size+detailBytes > 4<<20 {
		t.Errorf("the table takes %d bytes", size+detailBytes)
	}
	outcome := record.Outcome{Err: fmt.Errorf("%s: %w", strings.Repeat("x", 1000), record.ErrNotDelivered)}
	for i := range 50 {
		outcome.Placements = append(outcome.Placements, record.Placement{Topic: "logs", Partition: int32(i)})
	}
	var ids []uuid.UUID
	for range 2 * rememberedBatches {
		id := b.newID()
		b.begin(id, 1, false, nil)
		b.settle(id, outcome)
		ids = append(ids, id)
	}
	for i, id := range ids {
		e, found := b.get(id)
		if want := i >= rememberedBatches; found != want {
			t.Fatalf("batch %d of %d is remembered: %v", i, len(ids), found)
		}
		if latest := i >= len(ids)-100; latest && (e.detail == nil || len(e.detail.placements) != detailPlacements || e.detail.omitted != 50-detailPlacements || len(e.detail.reason) > detailReasonBytes) {
			t.Fatalf("batch %d of %d has the detail %+v", i, len(ids), e.detail)
		}
	}
	kept := int64(0)
	for _, e := range b.ring {
		if e.detail != nil {
			kept += e.detail.bytes()
		}
	}
	if kept != b.details || kept > detailBytes || len(b.detailed) > detailBytes/detailOverhead {
		t.Errorf("details take %d bytes, %d are counted; %d batches are listed", kept, b.details, len(b.detailed))
	}
}

// Details that are overwritten before they are dropped leave nothing behind.
func TestOverwrittenDetails(t *testing.T) {
	b := newBatches()
	for range 10 * rememberedBatches {
		id := b.newID()
		b.begin(id, 1, false, nil)
		if numberOf(id)%100 == 0 {
			b.settle(id, record.Outcome{Err: record.ErrNotDelivered})
		}
	}
	if most := rememberedBatches/100 + 2; len(b.detailed) > most || b.details > int64(most)*(detailOverhead+detailReasonBytes) {
		t.Errorf("%d batches are listed, with %d bytes; want at most %d", len(b.detailed), b.details, most)
	}
	late := b.newID()
	b.begin(late, 1, false, nil)
	for range rememberedBatches {
		b.begin(b.newID(), 1, false, nil)
	}
	b.settle(late, record.Outcome{Err: record.ErrNotDelivered})
	b.leave(late)
	if _, found := b.get(late); found {
		t.Error("an overwritten batch is found")
	}
}
