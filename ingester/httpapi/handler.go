// Package httpapi takes records by HTTP, from a request's first byte to its
// receipt: POST /logs, and the dialects of others (route.go). It knows neither
// Kafka nor the queue behind Queue.
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
	"context"
	"log/slog"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/logpipeline/logpipeline/ingester/config"
	"github.com/logpipeline/logpipeline/ingester/record"
)

// Queue is what takes the batches to Kafka.
type Queue interface {
	// NewAccount returns the account of a new connection.
	NewAccount() record.Account
	// MaxBytes is how many bytes an account can reserve at most.
	MaxBytes() int64
	// Put hands over a batch and the reservation that it names.
	Put(*record.Batch) error
	// RetryAfter is when a client that needs so many bytes should come back.
	RetryAfter(bytes int64) time.Duration
}

// patientQueue is a Queue that can take a batch without anybody being woken by
// it, until that is asked for. A client who waits for no more than that its
// records are queued is then answered before the work on them begins, which
// would compete with the answer for the processor.
type patientQueue interface {
	Add(*record.Batch) error
	Wake()
}

// Spool keeps batches on disk until they are in Kafka.
type Spool interface {
	// Append takes the batch over, with the reservation that it names, once it
	// is on disk. Where it returns an error (record.ErrSpoolFull, when there
	// is no room) the batch is still the caller's, and won't be delivered.
	Append(context.Context, *record.Batch) error
}

// Options configure a Handler. The zero value of a field means its default.
type Options struct {
	// Limits bound a request. MaxInFlight defaults to 4096 requests and
	// BodyTimeoutSeconds to 30; the sizes must be set.
	Limits config.RequestLimits
	// Instance names this process in the ids of its batches; the name of the
	// host.
	Instance string
	// Acknowledge says what a receipt promises; Produced.
	Acknowledge config.Acknowledge
	// RequiredAcks says what the producer waits for; All.
	RequiredAcks config.RequiredAcks
	// Journal says that there is no Kafka: what the queue takes is acknowledged
	// once it is in a journal on this machine's disk. Acknowledge must be
	// Produced then.
	Journal bool
	// Spool takes every batch on its way to the queue; without one, the queue
	// takes them.
	Spool Spool
	// Unreachable reports that Kafka does not answer; never.
	Unreachable func() bool
	// Authenticator says who may send records; without one, everybody.
	Authenticator *Authenticator
	// Headers are the names of the request's headers that become Kafka
	// headers of its records.
	Headers []string
	// AdminAddress is where NewAdmin's handler is served, for those who look
	// for it here; they aren't told.
	AdminAddress string
	// AcknowledgeTimeout bounds how long a request waits for Kafka, before
	// its outcome is called unknown; 150 s. It should be longer than the
	// producer's delivery timeout, which gives a definite answer.
	AcknowledgeTimeout time.Duration
}

func (o Options) withDefaults() Options {
	if o.Limits.MaxInFlight == 0 {
		o.Limits.MaxInFlight = 4096
	}
	if o.Limits.BodyTimeoutSeconds == 0 {
		o.Limits.BodyTimeoutSeconds = 30
	}
	if o.AcknowledgeTimeout == 0 {
		o.AcknowledgeTimeout = 150 * time.Second
	}
	if o.Unreachable == nil {
		o.Unreachable = func() bool { return false }
	}
	if o.Instance == "" {
		o.Instance, _ = os.Hostname()
	}
	if o.Instance == "" {
		o.Instance = "ingester"
	}
	return o
}

// Handler serves POST /logs, the other dialects, and GET /logs/batches/{batch}.
type Handler struct {
	options   Options
	queue     Queue
	patient   patientQueue // the queue; nil where it is none
	logger    *slog.Logger
	metrics   metrics
	refusals  *refusalLog
	batches   *batches
	keys      *keys
	decoders  decoders
	buffers   *record.Buffers
	exchanges sync.Pool
	inFlight  atomic.Int64
	draining  atomic.Bool
	promises
}

// New returns a handler that puts what it accepts into queue.
func New(options Options, queue Queue, logger *slog.Logger, reg prometheus.Registerer) *Handler {
	options = options.withDefaults()
	h := &Handler{
		options:  options,
		queue:    queue,
		logger:   logger,
		metrics:  newMetrics(reg),
		refusals: newRefusalLog(logger),
		batches:  newBatches(),
		keys:     newKeys(),
		decoders: newDecoders(),
		buffers:  record.NewBuffers(keptBytes),
		promises: newPromises(options),
	}
	h.patient, _ = queue.(patientQueue)
	h.exchanges.New = func() any { return newExchange(h) }
	return h
}

// Drain asks the clients to go elsewhere: every response from now on carries
// Connection: close. Requests are still accepted, until the owner shuts the
// server down or closes the queue.
func (h *Handler) Drain() { h.draining.Store(true) }

// Draining reports whether Drain was called.
func (h *Handler) Draining() bool { return h.draining.Load() }

// AcceptedRecords is how many records have been put into the queue or the spool
// since the handler was made.
func (h *Handler) AcceptedRecords() int64 { return h.metrics.acceptedRecords.Load() }

// ServeHTTP answers every request with what it asks for, or a problem.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	started := time.Now()
	count := h.inFlight.Add(1)
	defer h.inFlight.Add(-1)
	h.metrics.inFlight.Inc()
	defer h.metrics.inFlight.Dec()

	x := h.exchanges.Get().(*exchange)
	x.begin(w, r, count)
	defer x.end()
	refusal := x.serve() //nolint:contextcheck // the exchange has the request, and its context
	if refusal != nil {
		refusal = x.timely(refusal)
		x.refusals.note(r, refusal, x.client)
		x.refuse(refusal)
	}
	h.metrics.observe(x.status, refusal, time.Since(started))
}
