package httpapi

import (
	"encoding/json"
	"net/http"
	"strconv"

	"github.com/logpipeline/logpipeline/ingester/config"
	"github.com/logpipeline/logpipeline/ingester/record"
)

// promise is what a receipt says that an acknowledgement means. The words are
// part of the API.
type promise struct {
	acknowledgement string // Produced, Queued or Persisted
	durability      string // replicas, leader, spool, memory or disk: what has the records
	survives        string // what that survives
}

// How the records are kept.
const (
	inReplicas = "replicas"
	inLeader   = "leader"
	inSpool    = "spool"
	inMemory   = "memory"
	onDisk     = "disk"
)

// acknowledgePersisted is what only a journal gives.
const acknowledgePersisted = "Persisted"

// promises are what the handler can promise, and how durable delivered records
// are.
type promises struct {
	ofProduced, ofQueued promise
	delivered            string
	// journal is set where there is no Kafka; place names what there is.
	journal bool
	place   string
}

func newPromises(o Options) promises {
	if o.Journal {
		return promises{
			ofProduced: promise{acknowledgePersisted, onDisk, "everything that the disk survives"},
			delivered:  onDisk, journal: true, place: "the journal",
		}
	}
	p := promises{
		place:      "Kafka",
		ofProduced: promise{string(config.AcknowledgeProduced), inReplicas, "everything that the topic survives"},
		ofQueued:   promise{string(config.AcknowledgeQueued), inMemory, "nothing"},
		delivered:  inReplicas,
	}
	if o.Spool != nil {
		p.ofQueued.durability, p.ofQueued.survives = inSpool, "a crash of the container, not the removal of the pod"
	}
	if o.RequiredAcks == config.RequiredAcksOne {
		p.ofQueued.survives += "; once in Kafka, what the leader of the partition survives"
		p.delivered = inLeader
	}
	return p
}

func (p *promises) promised(queued bool) promise {
	if queued {
		return p.ofQueued
	}
	return p.ofProduced
}

// receipt is the answer to an accepted request.
type receipt struct {
	// batch is the id of the batch: the instance, a dot, and a UUID of version
	// 7, so that the ids of an instance sort by time.
	batch string
	promise
	records    int
	placements []record.Placement
	// rejected is what a parser left out, if its dialect allows that.
	rejected *partial
}

// status is 200 for what is done, and 202 for what is taken on.
func (r *receipt) status() int {
	if r.acknowledgement == string(config.AcknowledgeQueued) {
		return http.StatusAccepted
	}
	return http.StatusOK
}

// writeReceipt is the receipt of the dialect of POST /logs.
func writeReceipt(_ *http.Request, r *receipt, buffer []byte) response {
	b := buffer
	b = appendJSON(append(b, `{"batch":`...), r.batch)
	b = appendJSON(append(b, `,"acknowledgement":`...), r.acknowledgement)
	b = appendJSON(append(b, `,"durability":`...), r.durability)
	b = appendJSON(append(b, `,"survives":`...), r.survives)
	b = strconv.AppendInt(append(b, `,"records":`...), int64(r.records), 10)
	b = append(b, `,"placements":[`...)
	for i, p := range r.placements {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendPlacement(b, p)
	}
	b = append(b, "]}\n"...) // the next prompt of a person's shell begins on its own line
	return response{r.status(), "application/json", b}
}

func appendPlacement(b []byte, p record.Placement) []byte {
	b = appendJSON(append(b, `{"topic":`...), p.Topic)
	b = strconv.AppendInt(append(b, `,"partition":`...), int64(p.Partition), 10)
	b = strconv.AppendInt(append(b, `,"firstOffset":`...), p.FirstOffset, 10)
	b = strconv.AppendInt(append(b, `,"lastOffset":`...), p.LastOffset, 10)
	return append(b, '}')
}

// appendJSON appends the text as a JSON string. Names of topics and hosts need
// no escapes; what does is left to encoding/json.
func appendJSON(b []byte, text string) []byte {
	if isPlain(text, ' ') {
		b = append(b, '"')
		b = append(b, text...)
		return append(b, '"')
	}
	quoted, err := json.Marshal(text)
	if err != nil { // every string can be encoded
		panic(err)
	}
	return append(b, quoted...)
}
