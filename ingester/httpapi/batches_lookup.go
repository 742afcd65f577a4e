package httpapi

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/logpipeline/logpipeline/ingester/record"
)

// appendBatchID appends the id of a batch of the instance: the instance, a dot,
// and a UUID.
func appendBatchID(buffer []byte, instance string, id uuid.UUID) []byte {
	buffer = append(append(buffer, instance...), '.')
	for i, part := range [][]byte{id[:4], id[4:6], id[6:8], id[8:10], id[10:]} {
		if i > 0 {
			buffer = append(buffer, '-')
		}
		buffer = hex.AppendEncode(buffer, part)
	}
	return buffer
}

// parseBatchID splits an id at its last dot.
func parseBatchID(text string) (instance string, id uuid.UUID, ok bool) {
	dot := strings.LastIndexByte(text, '.')
	if dot <= 0 || len(text)-dot-1 != 36 {
		return "", uuid.Nil, false
	}
	id, err := uuid.Parse(text[dot+1:])
	return text[:dot], id, err == nil && id.Version() == 7
}

// errSettledEarlier is what is known of a batch whose outcome an earlier run
// has heard.
var errSettledEarlier = fmt.Errorf("%w: this process took the batch before it was restarted, and does not know any more what became of it", record.ErrOutcomeUnknown)

// Remember is for a batch that the spool holds when the process begins to serve:
// a request that comes again with its Idempotency-Key is answered as the first
// was. done says that an earlier run has delivered the batch, or given it up.
// The batch isn't used afterwards.
func (h *Handler) Remember(b *record.Batch, done bool) {
	if b.IdempotencyKey == "" {
		return
	}
	c := h.keys.recover(b.IdempotencyKey, h.keys.fingerprint(b), b.ID, b.Acknowledged)
	if done && c != nil {
		h.keys.settle(c, record.Outcome{Err: errSettledEarlier})
	}
}

// Recover is for a batch that comes from the spool and is delivered now, mostly
// one of an earlier run of this process: what becomes of it can then be asked
// for, and is what a request is answered that comes again with its
// Idempotency-Key, unless its receipt didn't wait for that. It sets b.Watcher.
func (h *Handler) Recover(b *record.Batch) {
	instance, id, ok := parseBatchID(b.ID)
	if !ok || b.Watcher != nil {
		return
	}
	watch := &delivery{batches: h.batches, id: id, keys: h.keys}
	b.Watcher = watch
	if e, found := h.batches.get(id); found { // its memory was needed for others
		watch.claim = e.claim
		return
	}
	if b.IdempotencyKey != "" {
		watch.claim = h.keys.recover(b.IdempotencyKey, h.keys.fingerprint(b), b.ID, b.Acknowledged)
	}
	if instance == h.options.Instance {
		h.batches.begin(id, b.Len(), b.Acknowledged, watch.claim)
		h.batches.leave(id)
	}
}

// batchReport is the answer to GET /logs/batches/{batch}.
type batchReport struct {
	Batch string `json:"batch"`
	// State is one of those that stateOf returns.
	State string `json:"state"`
	// Detail is for a person; empty where the state says all.
	Detail   string    `json:"detail,omitempty"`
	Received time.Time `json:"received"`
	Records  int32     `json:"records"`
	// Acknowledgement is what the client was told, or waited for.
	Acknowledgement string `json:"acknowledgement"`
	// Durability is of the records that Placements name or, while the batch
	// waits, of all.
	Durability string `json:"durability,omitempty"`
	// Placements say which records are in Kafka.
	Placements []record.Placement `json:"placements"`
	// OmittedPlacements is how many more there are.
	OmittedPlacements int `json:"omittedPlacements,omitempty"`
}

// lookUp answers what is known of a batch.
func (x *exchange) lookUp(text string) *problem {
	instance, id, ok := parseBatchID(text)
	if !ok {
		return newProblem(malformedBatchID, "%q is no batch id; the member \"batch\" of a receipt is one", shorten(text, 300))
	}
	if instance != x.options.Instance {
		p := newProblem(otherInstance, "the batch was taken by %q, and this is %q; ask there", instance, x.options.Instance)
		p.Owner = instance
		return p
	}
	e, found := x.batches.get(id)
	if !found {
		return newProblem(unknownBatch, "%q remembers the last %d batches since it was started, and this is none of them", instance, rememberedBatches)
	}
	x.report(text, e)
	return nil
}

func (x *exchange) report(text string, e entry) {
	report := batchReport{Batch: text, Received: receivedAt(e.id), Records: e.records, Placements: []record.Placement{}}
	report.Acknowledgement = x.promised(e.queued).acknowledgement
	report.State, report.Detail = x.stateOf(e)
	switch {
	case e.detail != nil:
		report.Placements = append(report.Placements, e.detail.placements...)
		report.OmittedPlacements = e.detail.omitted
	case e.topic != "":
		report.Placements = append(report.Placements, record.Placement{Topic: e.topic, Partition: e.partition, FirstOffset: e.first, LastOffset: e.last})
	}
	switch e.fate {
	case waiting:
		report.Durability = x.ofQueued.durability // "" while a journal waits for its disk
	case produced, partlyProduced:
		report.Durability = x.delivered
	}
	document, err := json.Marshal(report)
	if err != nil { // a report holds nothing that can't be encoded
		panic(err)
	}
	x.w.Header().Set("Cache-Control", "no-store")
	x.send(response{http.StatusOK, "application/json", append(document, '\n')})
}

// receivedAt is the time in a UUID of version 7.
func receivedAt(id uuid.UUID) time.Time {
	seconds, nanoseconds := id.Time().UnixTime()
	return time.Unix(seconds, nanoseconds).UTC()
}

// stateOf names what became of a batch, and says more for a person.
func (p *promises) stateOf(e entry) (state, explanation string) {
	reason := ""
	if e.detail != nil {
		reason = e.detail.reason
	}
	const letters = "; nobody waited for the outcome any more, so they were handed over as dead letters"
	switch {
	case e.fate == waiting:
		return "waiting", ""
	case e.fate == produced && p.journal:
		return "persisted", ""
	case e.fate == produced:
		return "produced", ""
	case e.fate == unknown && p.journal:
		return "unknown", reason + "; the records may or may not be in the journal"
	case p.journal:
		return "refused", reason + "; no record is in the journal"
	case e.fate == unknown && e.left:
		return "unknown", reason + "; the records may or may not be in Kafka" + letters + ", marked unknown"
	case e.fate == unknown:
		return "unknown", reason + "; the records may or may not be in Kafka"
	case e.left:
		return "dead-lettered", reason + "; the records that no placement names are not in Kafka" + letters
	case e.fate == partlyProduced:
		return "partly-produced", reason + "; the records that no placement names are not in Kafka"
	}
	return "refused", reason + "; no record is in Kafka"
}
