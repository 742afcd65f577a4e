package httpapi

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/logpipeline/logpipeline/ingester/record"
)

// keptBytes bounds the buffers that wait for the next body, beside those in use.
const keptBytes = 8 << 20

// firstStep is what is reserved for a body of unknown length to begin with,
// in bytes; each further step doubles it.
const firstStep = 32 << 10

// errTooLarge ends the reading of a body that is larger than its limit.
var errTooLarge = errors.New("larger than the limit")

// reserve adds n bytes to what the request holds in its connection's account.
// A request that would not fit into an empty queue is told so: it must not be
// sent again.
func (x *exchange) reserve(n int64) error {
	err := x.account.Reserve(n)
	if most := x.queue.MaxBytes(); errors.Is(err, record.ErrFull) && x.reserved+n > most {
		return fmt.Errorf("reserve %d bytes beside %d for the same request: %w of %d bytes", n, x.reserved, record.ErrNeverFits, most)
	}
	if err != nil {
		return err
	}
	x.reserved += n
	return nil
}

// giveBack returns what the request holds beyond keep bytes.
func (x *exchange) giveBack(keep int64) {
	if x.reserved > keep {
		x.account.Cancel(x.reserved - keep)
		x.reserved = keep
	}
}

// readBody reads the whole body within the limits of size and time, and decodes
// it. What it returns is reserved, with record.Overhead, and belongs to the
// caller.
func (x *exchange) readBody(decode coding) ([]byte, *problem) {
	body, p := x.receiveBody()
	if p != nil || decode == identity {
		return body, p
	}
	return x.decodeBody(decode, body)
}

// receiveBody reads the body as it comes. The producer may hold its buffer long
// after the request has been answered, and gives it back.
func (x *exchange) receiveBody() ([]byte, *problem) {
	limit, declared := int64(x.options.Limits.MaxBodyBytes), x.r.ContentLength
	if declared > limit {
		return nil, newProblem(bodyTooLarge, "Content-Length is %d bytes, more than requestLimits.maxBodyBytes = %d; send fewer records in a request", declared, limit)
	}
	first := declared
	if declared < 0 {
		first = min(firstStep, limit)
	}
	if err := x.reserve(record.Capacity(first) + record.Overhead); err != nil {
		return nil, admissionProblem(err)
	}
	x.bodyStarted = true
	x.paced.start(x.r, x.control, x.options.Limits)
	body := x.buffers.Get(first)
	if declared < 0 {
		body, p := x.readSteps(&x.paced, body, limit, x.receiveProblem)
		x.bodyRead = p == nil
		return body, p
	}
	if n, err := io.ReadFull(&x.paced, body); err != nil {
		return nil, x.receiveProblem(err, int64(n))
	}
	x.bodyRead = true
	return body, nil
}

// readSteps reads to the end of r, first into buffer, which is reserved. Each
// step that it grows by is reserved, too, up to limit bytes. failed says why r
// ended after n bytes, with errTooLarge where it goes on beyond the limit.
func (x *exchange) readSteps(r io.Reader, buffer []byte, limit int64, failed func(err error, n int64) *problem) ([]byte, *problem) {
	size := 0
	for {
		room := buffer[size:]
		if len(room) == 0 { // that may have been all
			room = x.beyond[:]
		}
		n, err := r.Read(room)
		if n > 0 && size == len(buffer) {
			if int64(size) == limit {
				return nil, failed(errTooLarge, int64(size))
			}
			var refused error
			if buffer, refused = x.moveBody(buffer, min(2*int64(size), limit)); refused != nil {
				return nil, admissionProblem(refused)
			}
			buffer[size] = x.beyond[0]
		}
		size += n
		switch {
		case errors.Is(err, io.EOF):
			return buffer[:size], nil
		case err != nil:
			return nil, failed(err, int64(size))
		}
	}
}

// moveBody moves a reserved buffer into one of n bytes. While both exist, both
// are reserved.
func (x *exchange) moveBody(from []byte, n int64) ([]byte, error) {
	if err := x.reserve(record.Capacity(n)); err != nil {
		return nil, err
	}
	buffer := x.buffers.Get(n)
	copy(buffer, from)
	x.dropBody(from)
	return buffer, nil
}

// dropBody gives back a buffer that is reserved, and its reservation.
func (x *exchange) dropBody(buffer []byte) {
	x.giveBack(x.reserved - int64(cap(buffer)))
	x.buffers.Put(buffer)
}

// receiveProblem says why the body did not come as a whole, but n bytes of it.
func (x *exchange) receiveProblem(err error, n int64) *problem {
	var p *problem
	switch {
	case errors.Is(err, errTooLarge):
		return newProblem(bodyTooLarge, "the body is larger than requestLimits.maxBodyBytes = %d; send fewer records in a request", n)
	case errors.Is(err, os.ErrDeadlineExceeded):
		p = newProblem(bodyTimeout, "%d bytes of the body came within %s; send it faster, or in smaller requests", n, x.paced.spent())
	default:
		p = newProblem(incompleteBody, "the body broke off after %d bytes: %v", n, err)
	}
	p.broken = true
	return p
}
