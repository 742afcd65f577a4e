package httpapi

import (
	"encoding/hex"
	"encoding/json"
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

// Recover is for a batch of an earlier run of this process that is delivered
// now: what becomes of it can then be asked for.
func (h *Handler) Recover(b *record.Batch) {
	instance, id, ok := parseBatchID(b.ID)
	if !ok || instance != h.options.Instance || b.Watcher != nil {
		return
	}
	if _, found := h.batches.get(id); !found {
		h.batches.begin(id, b.Len(), true)
	}
	b.Watcher = &delivery{batches: h.batches, id: id}
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
	report.State, report.Detail = stateOf(e)
	switch {
	case e.detail != nil:
		report.Placements = append(report.Placements, e.detail.placements...)
		report.OmittedPlacements = e.detail.omitted
	case e.topic != "":
		report.Placements = append(report.Placements, record.Placement{Topic: e.topic, Partition: e.partition, FirstOffset: e.first, LastOffset: e.last})
	}
	switch e.fate {
	case waiting:
		report.Durability = x.ofQueued.durability
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
func stateOf(e entry) (state, explanation string) {
	reason := ""
	if e.detail != nil {
		reason = e.detail.reason
	}
	const letters = "; nobody waited for the outcome any more, so they were handed over as dead letters"
	switch {
	case e.fate == waiting:
		return "waiting", ""
	case e.fate == produced:
		return "produced", ""
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
