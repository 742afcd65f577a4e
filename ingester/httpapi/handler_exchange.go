package httpapi

import (
	"errors"
	"net/http"
	"time"
	"unsafe"

	"github.com/google/uuid"

	"github.com/logpipeline/logpipeline/ingester/record"
)

// maxPooledBuffer is the largest buffer, in bytes, that waits for the next
// response.
const maxPooledBuffer = 4 << 10

// exchange is one request and its response. It is used again for another, so
// nothing may hold it after ServeHTTP has returned.
type exchange struct {
	*Handler
	w          http.ResponseWriter
	r          *http.Request
	control    *http.ResponseController
	controller http.ResponseController // which control points to
	dialect    *dialect
	account    record.Account
	client     string // whose credentials it has; for logs
	count      int64  // of requests in flight, this one included

	queued      bool  // it is answered once its records are queued
	reserved    int64 // bytes held in the account, not yet put
	beside      int64 // bytes of them that the batch needs beside its memory
	bodyStarted bool  // something of the body has been read, or tried to
	bodyRead    bool  // all of it
	paced       paced
	beyond      [1]byte
	rejected    *partial
	receipt     receipt
	status      int  // of the response
	unwoken     bool // the batch is queued, and nobody woken for it

	// What stays from one exchange to the next.
	reserveMore func(int64) error // reserve
	timer       *time.Timer
	outcome     chan record.Outcome // of its batch; empty when the exchange ends
	buffer      []byte              // of the response
	length      int                 // of a response, as lengthText has it
	lengthText  [1]string
}

func newExchange(h *Handler) *exchange {
	x := &exchange{Handler: h, timer: time.NewTimer(time.Hour), outcome: make(chan record.Outcome, 1)}
	x.timer.Stop()
	x.reserveMore = x.reserve
	return x
}

func (x *exchange) begin(w http.ResponseWriter, r *http.Request, count int64) {
	x.w, x.r, x.count, x.account = w, r, count, accountOf(r)
	if x.account == nil {
		x.account = x.queue.NewAccount()
	}
	x.controller = *http.NewResponseController(w)
	x.control = &x.controller
}

// end gives the exchange back.
func (x *exchange) end() {
	if x.unwoken {
		x.patient.Wake()
	}
	x.giveBack(0)
	kept := exchange{Handler: x.Handler, reserveMore: x.reserveMore, timer: x.timer, outcome: x.outcome, length: x.length, lengthText: x.lengthText}
	if cap(x.buffer) <= maxPooledBuffer {
		kept.buffer = x.buffer
	}
	*x = kept
	x.exchanges.Put(x)
}

// serve does what the request asks for, or says why not.
func (x *exchange) serve() *problem {
	place := resourceAt(x.r.URL.Path)
	x.dialect = place.dialect
	switch {
	case !place.allows(x.r.Method):
		return place.refuse(x.r, x.options.AdminAddress)
	case x.r.Method == http.MethodOptions:
		x.describe(place)
		return nil
	}
	client, p := x.options.Authenticator.identify(x.r)
	x.client = client
	switch {
	case p != nil:
		return p
	case place.batch != "":
		return x.lookUp(place.batch)
	}
	return x.take(client)
}

// take turns the client's request into a batch, hands it over, and sends the
// receipt.
func (x *exchange) take(client string) *problem {
	if most := x.options.Limits.MaxInFlight; x.count > int64(most) {
		return newProblem(tooManyRequests, "%d requests are being handled, as many as this server takes at once (requestLimits.maxInFlight); retry later", most)
	}
	var p *problem
	if x.queued, p = x.wantsQueued(); p != nil {
		return p
	}
	key, p := keyOf(x.r.Header)
	if p != nil {
		return p
	}
	if p := x.checkHeaders(); p != nil {
		return p
	}
	format, p := x.dialect.formatOf(x.r.Header)
	if p != nil {
		return p
	}
	posted, p := x.receive(format)
	if p != nil {
		return p
	}
	posted.batch.IdempotencyKey = key
	receipt, p := x.deliver(posted, client)
	if p != nil {
		return p
	}
	answer := x.dialect.receipt(x.r, receipt, x.buffer[:0])
	x.buffer = answer.body
	if x.unwoken {
		x.declareLength(len(answer.body)) // or it would be sent in chunks
	}
	x.send(answer)
	if x.unwoken {
		_ = x.control.Flush()
	}
	return nil
}

// posted is a batch, who hears what becomes of it, and its name, in one
// allocation.
type posted struct {
	batch    record.Batch
	delivery delivery
	name     [96]byte // of the batch, if it isn't longer
}

// receive turns the body into a batch, for which what it holds is reserved.
func (x *exchange) receive(f format) (*posted, *problem) {
	body, p := x.readBody(f.decode)
	if p != nil {
		return nil, p
	}
	made := &posted{delivery: delivery{batches: x.batches, id: x.batches.newID(), keys: x.keys}}
	batch := &made.batch
	batch.ID = x.nameOf(made.delivery.id, made.name[:0])
	batch.ReportTo(x.outcome)
	batch.Received = time.Now()
	batch.Buffers = x.buffers
	limits := record.Limits{
		MaxRecordBytes: int64(x.options.Limits.MaxRecordBytes),
		MaxDepth:       x.options.Limits.MaxDepth,
		Reserve:        x.reserveMore,
	}
	if err := f.parse(batch, body, limits); err != nil && !errors.As(err, &x.rejected) {
		p := parseProblem(err)
		x.addRemedy(p, f, body) // before the body is somebody else's
		batch.Free()
		return nil, p
	}
	if err := x.takeHeaders(batch); err != nil {
		batch.Free()
		return nil, admissionProblem(err)
	}
	return made, nil
}

// nameOf is the id of a batch as clients know it, written to room, which isn't
// written again.
func (x *exchange) nameOf(id uuid.UUID, room []byte) string {
	name := appendBatchID(room, x.options.Instance, id)
	return unsafe.String(&name[0], len(name))
}

// takeHeaders gives the batch the request's headers that are to travel with
// its records.
func (x *exchange) takeHeaders(batch *record.Batch) error {
	size := 0
	for _, name := range x.options.Headers {
		for _, value := range x.r.Header[http.CanonicalHeaderKey(name)] {
			batch.Headers = append(batch.Headers, record.Header{Key: name, Value: []byte(value)})
			size += headerOverhead + len(value)
		}
	}
	return x.reserveBeside(size)
}

// headerOverhead is what a header takes beside its value, in bytes, rounded up
// for the growth of the slice.
const headerOverhead = 96

// reserveBeside reserves n bytes that the batch needs beside its own memory,
// until it is freed.
func (x *exchange) reserveBeside(n int) error {
	if n == 0 {
		return nil
	}
	if err := x.reserve(int64(n)); err != nil {
		return err
	}
	x.beside += int64(n)
	return nil
}
