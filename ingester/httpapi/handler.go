// Package httpapi takes records by HTTP: POST /logs, from a request's first
// byte to its receipt. It knows neither Kafka nor the queue behind Queue.
//
// A request is admitted before its body is read: what the body will hold in
// memory is reserved in the queue at once, or step by step where its length is
// not known, and a request that can't have its next step gives back all that
// it holds. So memory is bounded whatever the clients do.
//
// A request is accepted whole or refused whole. A refusal is a problem as
// RFC 9457 has it (see problem.go for the types), and is sent in a way that
// lets the client see it: a bounded part of the unread body is drained.
package httpapi

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/logpipeline/logpipeline/ingester/config"
	"github.com/logpipeline/logpipeline/ingester/record"
)

// Queue is what takes the batches to Kafka.
type Queue interface {
	// Reserve admits n bytes, or returns record.ErrFull, record.ErrClosed
	// or record.ErrNeverFits.
	Reserve(n int64) error
	// MaxBytes is how many bytes may be reserved at a time.
	MaxBytes() int64
	// Cancel gives back n reserved bytes that will not be put.
	Cancel(n int64)
	// Put hands over a batch and the reservation that it names.
	Put(*record.Batch) error
}

// Options configure a Handler. The zero value of a field means its default.
type Options struct {
	// Limits bound a request; all of them must be set.
	Limits config.RequestLimits
	// BodyTimeout bounds the reading of one body; 30 s.
	BodyTimeout time.Duration
	// AcknowledgeTimeout bounds how long a request waits for Kafka, before
	// its outcome is called unknown; 150 s. It should be longer than the
	// producer's delivery timeout, which gives a definite answer.
	AcknowledgeTimeout time.Duration
	// MaxInFlight bounds the requests that are handled at once; 4096.
	MaxInFlight int
}

func (o Options) withDefaults() Options {
	if o.BodyTimeout == 0 {
		o.BodyTimeout = 30 * time.Second
	}
	if o.AcknowledgeTimeout == 0 {
		o.AcknowledgeTimeout = 150 * time.Second
	}
	if o.MaxInFlight == 0 {
		o.MaxInFlight = 4096
	}
	return o
}

// Handler serves POST /logs.
type Handler struct {
	options  Options
	queue    Queue
	logger   *slog.Logger
	metrics  metrics
	inFlight atomic.Int64
	draining atomic.Bool
}

// New returns a handler that puts what it accepts into queue.
func New(options Options, queue Queue, logger *slog.Logger, reg prometheus.Registerer) *Handler {
	return &Handler{options: options.withDefaults(), queue: queue, logger: logger, metrics: newMetrics(reg)}
}

// Drain asks the clients to go elsewhere: every response from now on carries
// Connection: close. Requests are still accepted, until the owner shuts the
// server down or closes the queue.
func (h *Handler) Drain() { h.draining.Store(true) }

// ServeHTTP answers every request with a receipt or a problem.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	started := time.Now()
	count := h.inFlight.Add(1)
	defer h.inFlight.Add(-1)
	h.metrics.inFlight.Inc()
	defer h.metrics.inFlight.Dec()

	x := &exchange{Handler: h, w: w, r: r, control: http.NewResponseController(w)}
	defer x.giveBack(0)
	receipt, refusal := x.handle(count)
	if refusal != nil {
		x.refuse(refusal)
	} else {
		x.acknowledge(receipt)
	}
	h.metrics.observe(refusal, time.Since(started))
}

// exchange is one request and its response.
type exchange struct {
	*Handler
	w       http.ResponseWriter
	r       *http.Request
	control *http.ResponseController

	reserved    int64 // bytes held in the queue, not yet put
	bodyStarted bool  // something of the body has been read, or tried to
	bodyRead    bool  // all of it
}

// handle takes a request as far as it gets. count is how many are in flight.
func (x *exchange) handle(count int64) (*receipt, *problem) {
	if p := route(x.r); p != nil {
		return nil, p
	}
	if count > int64(x.options.MaxInFlight) {
		return nil, newProblem(tooManyRequests, "%d requests are being handled, as many as this server takes at once; retry later", x.options.MaxInFlight)
	}
	parse, p := formatOf(x.r.Header)
	if p != nil {
		return nil, p
	}
	batch, p := x.receive(parse)
	if p != nil {
		return nil, p
	}
	if batch.Len() == 0 {
		return newReceipt(batch.ID, 0, nil), nil
	}
	return x.deliver(batch)
}

// route refuses what is not POST /logs.
func route(r *http.Request) *problem {
	switch {
	case r.URL.Path != "/logs":
		return newProblem(notFound, "there is nothing at %q; records go to POST /logs", r.URL.Path)
	case r.Method != http.MethodPost:
		p := newProblem(methodNotAllowed, "method is %q; records go to POST /logs", r.Method)
		p.header("Allow", http.MethodPost)
		return p
	}
	return nil
}

// receive turns the body into a batch that carries its reservation.
func (x *exchange) receive(parse parser) (*record.Batch, *problem) {
	body, p := x.readBody()
	if p != nil {
		return nil, p
	}
	batch := record.NewBatch(uuid.Must(uuid.NewV7()).String())
	batch.Received = time.Now()
	limits := record.Limits{
		MaxRecordBytes: int64(x.options.Limits.MaxRecordBytes),
		MaxDepth:       x.options.Limits.MaxDepth,
		Reserve:        x.reserve,
	}
	if err := parse(batch, body, limits); err != nil {
		return nil, parseProblem(err)
	}
	return batch, nil
}

// deliver puts the batch into the queue and waits for what becomes of it.
func (x *exchange) deliver(batch *record.Batch) (*receipt, *problem) {
	id, records, bytes := batch.ID, batch.Len(), batch.Bytes()
	x.giveBack(batch.Memory())
	batch.Reserved = x.reserved
	if err := x.queue.Put(batch); err != nil {
		x.logger.Error("batch could not be queued", "batch", id, "error", err)
		return nil, newProblem(internalError, "the batch could not be queued; this is a fault of the server")
	}
	x.reserved = 0
	x.metrics.accepted(records, bytes)
	outcome, p := x.await(id, batch.Outcome())
	if p != nil {
		return nil, p
	}
	if outcome.Err != nil {
		return nil, x.outcomeProblem(id, outcome)
	}
	return newReceipt(id, records, outcome.Placements), nil
}

// acknowledge sends the receipt.
func (x *exchange) acknowledge(r *receipt) {
	x.send(http.StatusOK, "application/json", r)
}

// send writes a response; a client that is gone is no error of ours.
func (x *exchange) send(status int, contentType string, content any) {
	document, err := json.Marshal(content)
	if err != nil {
		x.logger.Error("response could not be encoded", "error", err)
		status = http.StatusInternalServerError
	}
	document = append(document, '\n') // the next prompt of a person's shell begins on its own line
	header := x.w.Header()
	header.Set("Content-Type", contentType)
	header.Set("Content-Length", strconv.Itoa(len(document)))
	if x.draining.Load() {
		header.Set("Connection", "close")
	}
	x.w.WriteHeader(status)
	_, _ = x.w.Write(document)
}
