package httpapi

import (
	"errors"
	"math"
	"time"

	"github.com/logpipeline/logpipeline/ingester/record"
)

// admissionProblem says why the queue granted no reservation.
func admissionProblem(err error) *problem {
	switch {
	case errors.Is(err, record.ErrClosed):
		return newProblem(draining, "this server takes no more records; send them to another, or retry later")
	case errors.Is(err, record.ErrNeverFits):
		return newProblem(bodyTooLarge, "%v, which queue.maxBytes sets; send fewer records in a request", err)
	case errors.Is(err, record.ErrFull):
		return newProblem(queueFull, "%v; retry later", err)
	}
	return newProblem(internalError, "%v", err)
}

// parseProblem says why the parser refused the body.
func parseProblem(err error) *problem {
	var refusal *record.ParseError
	if !errors.As(err, &refusal) {
		return admissionProblem(err)
	}
	p := newProblem(kindOfParse(refusal.Kind), "%s", refusal.Reason)
	switch refusal.Kind {
	case record.RecordTooLarge:
		p.Detail += " (requestLimits.maxRecordBytes)"
	case record.NestingTooDeep:
		p.Detail += " (requestLimits.maxDepth)"
	}
	p.Offset = &refusal.Offset
	if refusal.Record >= 0 {
		p.Record = &refusal.Record
	}
	return p
}

func kindOfParse(k record.Kind) kind {
	switch k {
	case record.InvalidUTF8:
		return invalidUTF8
	case record.NotAnObject:
		return notAnObject
	case record.NestingTooDeep:
		return nestingTooDeep
	case record.RecordTooLarge:
		return recordTooLarge
	case record.NoRecords:
		return noRecords
	case malformedOTLP:
		return otlpMalformed
	case recordsRejected:
		return otlpRejected
	}
	return malformedJSON
}

// fate is what a batch's outcome comes to.
type fate uint8

const (
	waiting fate = iota
	produced
	partlyProduced // the rest is definitely not in Kafka
	refused        // nothing is in Kafka
	unknown
)

// failure is one of the errors that an outcome wraps, and the problem that it
// is to the client.
type failure struct {
	err  error
	kind kind
}

// inDoubt is the failure after which nothing is definite. After each of the
// others the records that no placement names are not in Kafka, and won't be.
var (
	inDoubt  = failure{record.ErrOutcomeUnknown, outcomeUnknown}
	definite = []failure{
		{record.ErrSpoolFull, spoolFull},
		{record.ErrClosed, draining},
		{record.ErrTooLarge, recordTooLarge},
		{record.ErrRefused, recordRefused},
		{record.ErrNotDelivered, notDelivered},
	}
)

// failureOf returns which failure an error is. What is in doubt outweighs what
// is definite, and an error without a name is doubt.
func failureOf(err error) failure {
	if !errors.Is(err, inDoubt.err) {
		for _, f := range definite {
			if errors.Is(err, f.err) {
				return f
			}
		}
	}
	return inDoubt
}

// fateOf sums an outcome up.
func fateOf(o record.Outcome) fate {
	switch {
	case o.Err == nil:
		return produced
	case failureOf(o.Err).kind == outcomeUnknown:
		return unknown
	case len(o.Placements) > 0:
		return partlyProduced
	}
	return refused
}

// outcomeProblem says why a batch is not, or not as a whole, known to be in
// Kafka, or in the journal.
func (p *promises) outcomeProblem(batch string, o record.Outcome) *problem {
	part, rest, others := "", "none of its records is in "+p.place, "they"
	if len(o.Placements) > 0 {
		part, rest, others = "part of ", "the placements name what is in Kafka of it, and sending that again doubles it", "the others"
	}
	kind := failureOf(o.Err).kind
	var q *problem
	switch {
	case kind == spoolFull:
		q = newProblem(kind, "batch %s was not taken: %v; retry later", batch, o.Err)
	case kind == recordTooLarge && p.journal:
		q = newProblem(kind, "batch %s was not taken: %v; send fewer records in a request", batch, o.Err)
	case kind == draining:
		q = newProblem(kind, "batch %s was not taken: this server takes no more records; send them to another, or retry later", batch)
	case kind == recordTooLarge:
		q = newProblem(kind, "Kafka refused a record of batch %s for its size: %v; %s; send smaller records, or raise max.message.bytes of the topic", batch, o.Err, rest)
	case kind == recordRefused:
		q = newProblem(kind, "Kafka refused a record of batch %s: %v; %s; mend the record, or the topic's configuration", batch, o.Err, rest)
	case kind == notDelivered:
		q = newProblem(kind, "%sbatch %s was not delivered: %v; %s, %s may be sent again", part, batch, o.Err, rest, others)
	default:
		q = newProblem(kind, "batch %s may or may not be in %s: %v; sending the records again may double them", batch, p.place, o.Err)
	}
	q.Batch, q.Placements = batch, o.Placements
	if fault := (*record.Fault)(nil); (kind == recordTooLarge || kind == recordRefused) && errors.As(o.Err, &fault) {
		q.Record = new(fault.Record)
	}
	return q
}

// timely says when a request that found no room in the queue may be sent again,
// and that it is Kafka that does not answer where that is so. How fast the spool
// empties is not what the queue knows.
func (x *exchange) timely(p *problem) *problem {
	if p.kind != queueFull && p.kind != spoolFull || !x.options.Unreachable() {
		return x.afterQueue(p)
	}
	if p.kind == spoolFull {
		p.Detail = "Kafka does not answer, and " + p.Detail
		return p
	}
	return x.afterQueue(newProblem(kafkaUnreachable, "Kafka does not answer, and %s", p.Detail))
}

// afterQueue asks the queue when the request may be sent again, if it is full.
func (x *exchange) afterQueue(p *problem) *problem {
	if p.kind == queueFull || p.kind == kafkaUnreachable {
		wanted := max(x.r.ContentLength, x.reserved, 0) + record.Overhead
		p.retryAfter = wholeSeconds(x.queue.RetryAfter(wanted))
	}
	return p
}

// wholeSeconds rounds up, for Retry-After knows no fractions, and 0 would
// invite the request back at once.
func wholeSeconds(d time.Duration) int {
	return max(1, int(math.Ceil(d.Seconds())))
}
