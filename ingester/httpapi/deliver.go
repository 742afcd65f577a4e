package httpapi

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/google/uuid"

	"github.com/logpipeline/logpipeline/ingester/record"
)

// delivery hears what becomes of a batch, whoever else waits for it.
type delivery struct {
	batches *batches
	id      uuid.UUID
	keys    *keys
	claim   *claim // of the request's key; nil without, or when it is settled by the handler
}

// Settled implements record.Watcher.
func (d *delivery) Settled(o record.Outcome) {
	d.batches.settle(d.id, o)
	if d.claim != nil {
		d.keys.settle(d.claim, o)
	}
}

// deliver takes the client's parsed batch on, unless an earlier request with
// the same key did, and returns what the client waits for.
func (x *exchange) deliver(made *posted, client string) (*receipt, *problem) {
	batch, watch := &made.batch, &made.delivery
	if batch.Len() == 0 {
		x.batches.begin(watch.id, 0, x.queued, nil)
		watch.Settled(record.Outcome{})
		return x.receiptFor(batch.ID, 0, nil), nil
	}
	if batch.IdempotencyKey == "" {
		return x.handOver(batch, watch, nil)
	}
	if err := x.reserveBeside(claimOverhead + len(client) + len(batch.IdempotencyKey)); err != nil {
		return nil, admissionProblem(err)
	}
	fingerprint := x.keys.fingerprint(batch)
	key := owned{client: client, key: batch.IdempotencyKey}
	claimed, ours := x.keys.claim(key, fingerprint, strings.Clone(batch.ID), x.queued) // not to keep the batch for its name
	if !ours {
		return x.replay(claimed, fingerprint, batch)
	}
	return x.handOver(batch, watch, claimed)
}

// handOver gives the batch to the spool or the queue. The claim, unless it is
// nil, is settled with what the receipt says: here where that is "queued",
// otherwise with the outcome.
func (x *exchange) handOver(batch *record.Batch, watch *delivery, claimed *claim) (*receipt, *problem) {
	if !x.queued {
		watch.claim = claimed
	}
	batch.Watcher = watch
	x.batches.begin(watch.id, batch.Len(), x.queued, watch.claim)
	// The batch is no longer ours once it has been handed over.
	name, records, bytes := batch.ID, batch.Len(), batch.Bytes()
	err := x.put(batch)
	if err != nil {
		x.batches.settle(watch.id, record.Outcome{Err: err})
	}
	if claimed != nil && (x.queued || err != nil) {
		x.keys.settle(claimed, record.Outcome{Err: err})
	}
	if err != nil {
		return x.conclude(name, records, record.Outcome{Err: err})
	}
	x.metrics.accepted(x.queued, records, bytes)
	if x.queued {
		return x.receiptFor(name, records, nil), nil
	}
	return x.await(batch, watch.id, name, records)
}

// put hands the batch over with its reservation. An error says that the batch
// is still ours.
func (x *exchange) put(batch *record.Batch) (err error) {
	x.giveBack(batch.Memory() + x.beside)
	batch.Account, batch.Reserved = x.account, x.reserved
	if x.queued {
		batch.Acknowledged = true
		batch.Leave()
	}
	ctx := x.r.Context()
	switch {
	case x.options.Spool != nil:
		err = x.options.Spool.Append(ctx, batch)
	case x.queued && x.patient != nil && x.r.ProtoMajor == 1: // with HTTP/2 a response ends when its handler does
		err = x.patient.Add(batch)
		x.unwoken = err == nil
	default:
		err = x.queue.Put(batch)
	}
	if err == nil {
		x.reserved = 0
		return nil
	}
	if failureOf(err).kind != outcomeUnknown || errors.Is(err, record.ErrOutcomeUnknown) {
		return err
	}
	if ctx.Err() == nil {
		x.logger.Error("batch could not be queued", "batch", batch.ID, "error", err)
	}
	return fmt.Errorf("%w; %w", err, record.ErrNotDelivered)
}

// await waits for the outcome of a batch that was handed over. The client's
// patience and the server's bound only this wait: the batch goes its way
// without it.
func (x *exchange) await(batch *record.Batch, id uuid.UUID, name string, records int) (*receipt, *problem) {
	x.timer.Reset(x.options.AcknowledgeTimeout)
	defer x.timer.Stop()
	var p *problem
	select {
	case o := <-batch.Outcome():
		return x.conclude(name, records, o)
	case <-x.timer.C:
		p = x.waitedTooLong(name)
	case <-x.r.Context().Done():
		p = x.clientLeft(name)
	}
	if !batch.Leave() { // the outcome came at this moment
		return x.conclude(name, records, <-batch.Outcome())
	}
	x.batches.leave(id)
	return nil, p
}

// replay answers a request as an earlier one with the same key was answered,
// or will be.
func (x *exchange) replay(c *claim, fingerprint uint64, batch *record.Batch) (*receipt, *problem) {
	if c.fingerprint != fingerprint || c.queued != x.queued {
		return nil, newProblem(idempotencyKeyReused, "Idempotency-Key %q was used for other records, or with another ?ack=; use a key for one request and its repetitions only", c.key.key)
	}
	records := batch.Len()
	// Nobody waits holding a reservation.
	batch.Free()
	x.giveBack(0)
	x.timer.Reset(x.options.AcknowledgeTimeout)
	defer x.timer.Stop()
	select {
	case <-c.settled:
	case <-x.timer.C:
		return nil, x.waitedTooLong(c.batch)
	case <-x.r.Context().Done():
		return nil, x.clientLeft(c.batch)
	}
	x.metrics.replayed.Inc()
	x.w.Header().Set("Idempotency-Replayed", "true")
	r, p := x.conclude(c.batch, records, c.outcome)
	if p != nil && p.kind == notDelivered && !x.journal && x.batches.left(c.batch) {
		p.Detail += "; the client that sent them first had left, so they were handed over as dead letters, too"
	}
	return r, p
}

func (x *exchange) waitedTooLong(batch string) *problem {
	x.logger.Warn("batch was not acknowledged in time", "batch", batch, "waitedSeconds", x.options.AcknowledgeTimeout.Seconds())
	p := newProblem(outcomeUnknown, "batch %s was accepted, but %s did not acknowledge it within %v; it may still do so, and sending the records again may double them", batch, x.place, x.options.AcknowledgeTimeout)
	p.Batch = batch
	return p
}

// clientLeft is answered, too: half of the connection may still be open.
func (x *exchange) clientLeft(batch string) *problem {
	p := newProblem(outcomeUnknown, "batch %s was accepted, but the connection was closed before %s acknowledged it; sending the records again may double them", batch, x.place)
	p.Batch, p.clientGone = batch, true
	return p
}

// conclude turns an outcome into what the client is told.
func (x *exchange) conclude(name string, records int, o record.Outcome) (*receipt, *problem) {
	if o.Err == nil {
		return x.receiptFor(name, records, o.Placements), nil
	}
	p := x.outcomeProblem(name, o)
	p.records, p.rejected = records, x.rejected
	p.clientGone = errors.Is(o.Err, context.Canceled)
	if p.kind == notDelivered || p.kind == outcomeUnknown {
		x.logger.Warn("batch was not acknowledged", "batch", name, "problem", p.kind.name, "error", o.Err)
	}
	return nil, p
}

// receiptFor fills the exchange's receipt.
func (x *exchange) receiptFor(name string, records int, placements []record.Placement) *receipt {
	x.receipt = receipt{batch: name, promise: x.promised(x.queued), records: records, placements: placements, rejected: x.rejected}
	return &x.receipt
}
