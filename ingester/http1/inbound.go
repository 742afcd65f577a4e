package http1

import (
	"errors"
	"io"
	"sync"
	"time"
)

// firstBytes is the size of a connection's buffer, in bytes. It is meant for
// heads: a body is read into the handler's memory but for its beginning.
const firstBytes = 4 << 10

var buffers = sync.Pool{New: func() any { return new([firstBytes]byte) }}

// inbound is what has been read from a connection, and not been used yet.
type inbound struct {
	first    *[firstBytes]byte
	buffer   []byte
	from, to int // buffer[from:to]
}

func (in *inbound) open() {
	in.first = buffers.Get().(*[firstBytes]byte)
	in.buffer = in.first[:]
}

func (in *inbound) close() {
	if in.first != nil {
		buffers.Put(in.first)
		*in = inbound{}
	}
}

func (in *inbound) bytes() []byte { return in.buffer[in.from:in.to] }

// surrender gives the bytes away.
func (in *inbound) surrender() []byte {
	read := append([]byte(nil), in.bytes()...)
	in.close()
	return read
}

// take copies bytes to p.
func (in *inbound) take(p []byte) int {
	n := copy(p, in.bytes())
	in.from += n
	return n
}

// makeRoom moves the bytes to the front, in a larger buffer if that is full.
func (in *inbound) makeRoom() {
	to := in.buffer
	if in.to-in.from == len(in.buffer) {
		to = make([]byte, 2*len(in.buffer))
	}
	in.to = copy(to, in.bytes())
	in.from, in.buffer = 0, to
}

// verdict is what came of waiting for a request.
type verdict int

const (
	incomplete verdict = iota
	complete           // the head is there, and is ours to serve
	foreign            // it is net/http's
	lost               // the connection ended, or has to
)

// next reads up to the end of a request's head.
func (c *conn) next() verdict {
	blank := c.skipBlank(maxBlank)
	c.in.makeRoom()
	c.head.begin()
	if c.in.to == 0 && !c.rest() {
		return lost
	}
	// The first head is waited for since the connection was accepted.
	for waited := !c.head.known(); ; {
		blank += c.skipBlank(maxBlank - blank)
		if found := c.head.find(c.in.bytes()); found == complete {
			return c.parse()
		} else if found == foreign {
			return foreign
		}
		if c.in.to >= c.server.headerBytes() {
			return foreign
		}
		if !waited {
			c.setReadDeadline(deadline(time.Now(), c.server.headerTimeout()))
			waited = true
		}
		if err := c.fill(); err != nil {
			return c.brokenOff(err)
		}
	}
}

// maxBlank is how many CR and LF are skipped that follow a body, as RFC 9112,
// section 2.2, recommends, and net/http does.
const maxBlank = 4

// skipBlank skips up to n of them, and returns how many there were.
func (c *conn) skipBlank(n int) (skipped int) {
	if !c.head.known() {
		return 0
	}
	for b := c.in.bytes(); skipped < min(n, len(b)) && (b[skipped] == '\r' || b[skipped] == '\n'); skipped++ {
	}
	c.in.from += skipped
	return skipped
}

// rest waits for the first bytes of a request. It reports whether there are
// any, and the connection is used for them.
func (c *conn) rest() bool {
	was := fresh
	if c.head.known() {
		was = idle
		c.extendIdle(time.Now())
		c.state.Store(idle)
		if c.server.draining.Load() {
			return false
		}
		if c.rests != nil {
			c.rests.Rest()
		}
	}
	if err := c.fill(); err != nil {
		return false
	}
	if was == idle && c.rests != nil && !c.rests.Resume() {
		return false
	}
	return c.state.CompareAndSwap(was, active)
}

func (c *conn) fill() error {
	if c.in.to == len(c.in.buffer) {
		c.in.makeRoom()
	}
	n, err := c.conn.Read(c.in.buffer[c.in.to:])
	c.in.to += n
	if n > 0 {
		return nil
	}
	return err
}

// brokenOff says what to do with a head of which no more comes. That may be
// all that net/http needs in order to refuse it.
func (c *conn) brokenOff(err error) verdict {
	if errors.Is(err, io.EOF) {
		return foreign
	}
	return lost
}

// parse uses the head up, if it is ours to serve.
func (c *conn) parse() verdict {
	if !c.head.parse(c.in.bytes()) {
		return foreign
	}
	c.in.from += c.head.size()
	return complete
}
