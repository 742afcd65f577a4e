package httpapi

import (
	"errors"
	"time"

	"github.com/logpipeline/logpipeline/ingester/record"
)

// produced is the acknowledgement of records that are in Kafka, acknowledged
// by all in-sync replicas.
const produced = "Produced"

// receipt is the answer to an accepted request.
type receipt struct {
	// Batch is the id of the batch: a UUID of version 7, so that ids sort
	// by time (RFC 9562).
	Batch           string             `json:"batch"`
	Acknowledgement string             `json:"acknowledgement"`
	Records         int                `json:"records"`
	Placements      []record.Placement `json:"placements"`
}

func newReceipt(batch string, records int, placements []record.Placement) *receipt {
	if placements == nil {
		placements = []record.Placement{}
	}
	return &receipt{Batch: batch, Acknowledgement: produced, Records: records, Placements: placements}
}

// await waits for the outcome of a queued batch. The client's patience and the
// server's bound only this wait: the batch goes its way without it.
func (x *exchange) await(batch string, outcome <-chan record.Outcome) (record.Outcome, *problem) {
	timer := time.NewTimer(x.options.AcknowledgeTimeout)
	defer timer.Stop()
	var p *problem
	select {
	case o := <-outcome:
		return o, nil
	case <-timer.C:
		p = newProblem(outcomeUnknown, "batch %s was accepted, but Kafka did not acknowledge it within %v; it may still do so, and sending the records again may double them", batch, x.options.AcknowledgeTimeout)
		x.logger.Warn("batch was not acknowledged in time", "batch", batch, "waited", x.options.AcknowledgeTimeout)
	case <-x.r.Context().Done():
		// Half of the connection may still be open, so this is answered too.
		p = newProblem(outcomeUnknown, "batch %s was accepted, but the connection was closed before Kafka acknowledged it; sending the records again may double them", batch)
		p.clientGone = true
	}
	p.Batch = batch
	return record.Outcome{}, p
}

// outcomeProblem says why an accepted batch is not, or not as a whole, known
// to be in Kafka. What is in doubt outweighs what is definite.
func (x *exchange) outcomeProblem(batch string, o record.Outcome) *problem {
	var p *problem
	definite := errors.Is(o.Err, record.ErrTooLarge) || errors.Is(o.Err, record.ErrNotDelivered)
	switch {
	case errors.Is(o.Err, record.ErrOutcomeUnknown) || !definite:
		p = newProblem(outcomeUnknown, "batch %s may or may not be in Kafka: %v; sending the records again may double them", batch, o.Err)
	case errors.Is(o.Err, record.ErrTooLarge):
		p = newProblem(recordTooLarge, "Kafka refused a record of batch %s for its size: %v; send smaller records, or raise max.message.bytes of the topic", batch, o.Err)
	case len(o.Placements) > 0:
		p = newProblem(notDelivered, "part of batch %s was not delivered: %v; the placements name what is in Kafka, the records after it may be sent again", batch, o.Err)
	default:
		p = newProblem(notDelivered, "batch %s was not delivered: %v; none of its records is in Kafka, they may be sent again", batch, o.Err)
	}
	p.Batch, p.Placements = batch, o.Placements
	if p.Status >= 500 {
		x.logger.Warn("batch was not acknowledged", "batch", batch, "problem", p.kind.name, "error", o.Err)
	}
	return p
}
