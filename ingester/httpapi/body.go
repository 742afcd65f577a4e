package httpapi

import (
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/logpipeline/logpipeline/ingester/record"
)

// firstStep is what is reserved for a body of unknown length to begin with,
// in bytes; each further step doubles it.
const firstStep = 32 << 10

// reserve adds n bytes to what the request holds in the queue. A request that
// would not fit into an empty queue is told so: it must not be sent again.
func (x *exchange) reserve(n int64) error {
	err := x.queue.Reserve(n)
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
		x.queue.Cancel(x.reserved - keep)
		x.reserved = keep
	}
}

// readBody reads the whole body within the limits of size and time. Its buffer
// is reserved in the queue, with record.Overhead. The buffer is made for this
// request alone and never used again: the producer may hold it long after the
// request has been answered.
func (x *exchange) readBody() ([]byte, *problem) {
	limit, declared := int64(x.options.Limits.MaxBodyBytes), x.r.ContentLength
	if declared > limit {
		return nil, newProblem(bodyTooLarge, "Content-Length is %d bytes, more than requestLimits.maxBodyBytes = %d; send fewer records in a request", declared, limit)
	}
	first := declared
	if declared < 0 {
		first = min(firstStep, limit+1)
	}
	if err := x.reserve(first + record.Overhead); err != nil {
		return nil, admissionProblem(err)
	}
	// net/http lifts the deadline where the body ends. Writers other than its
	// own have none; nothing is lost there.
	_ = x.control.SetReadDeadline(time.Now().Add(x.options.BodyTimeout))
	x.bodyStarted = true
	body := make([]byte, first)
	if declared < 0 {
		return x.readSteps(body, limit)
	}
	if n, err := io.ReadFull(x.r.Body, body); err != nil {
		return nil, x.readProblem(err, int64(n))
	}
	x.bodyRead = true
	return body, nil
}

// readSteps reads a body of unknown length, first into buffer. The buffer
// grows to one byte over the limit, so that a body at the limit can be told
// from a larger one.
func (x *exchange) readSteps(buffer []byte, limit int64) ([]byte, *problem) {
	size := 0
	for {
		n, err := x.r.Body.Read(buffer[size:])
		size += n
		switch {
		case int64(size) > limit:
			return nil, newProblem(bodyTooLarge, "the body is larger than requestLimits.maxBodyBytes = %d; send fewer records in a request", limit)
		case errors.Is(err, io.EOF):
			x.bodyRead = true
			return buffer[:size], nil
		case err != nil:
			return nil, x.readProblem(err, int64(size))
		}
		if size == len(buffer) {
			if buffer, err = x.nextStep(buffer, min(2*int64(size), limit+1)); err != nil {
				return nil, admissionProblem(err)
			}
		}
	}
}

// nextStep moves a full buffer into one of n bytes. While both exist, both are
// reserved.
func (x *exchange) nextStep(full []byte, n int64) ([]byte, error) {
	if err := x.reserve(n); err != nil {
		return nil, err
	}
	buffer := make([]byte, n)
	copy(buffer, full)
	x.giveBack(n + record.Overhead)
	return buffer, nil
}

// readProblem says why the body ended after n bytes.
func (x *exchange) readProblem(err error, n int64) *problem {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		p := newProblem(bodyTimeout, "%d bytes of the body came within %v; send it faster, or in smaller requests", n, x.options.BodyTimeout)
		p.broken = true
		return p
	}
	p := newProblem(incompleteBody, "the body broke off after %d bytes: %v", n, err)
	p.broken = true
	return p
}
