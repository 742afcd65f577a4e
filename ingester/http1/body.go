package http1

import (
	"errors"
	"io"
	"net/http"
	"os"
	"time"
)

const (
	// dropBytes is how much of a body that the handler left is read, so that
	// the connection can be kept; dropTime is how long that may take.
	dropBytes = 256 << 10
	dropTime  = 5 * time.Second
	// lingerTime is how long a connection is read on after its last response,
	// where the client still sends: closed at once it would be reset, and the
	// response might be lost.
	lingerTime = 500 * time.Millisecond
)

// body is the body of a request. What is not in the connection's buffer is read
// straight into the handler's memory.
type body struct {
	conn   *conn
	left   int64 // bytes that have not been read
	closed bool
}

func (b *body) begin(length int64) { b.left, b.closed = length, false }

// Read reads some of the body; the last bytes come with io.EOF. Where the
// client leaves before, the error is io.ErrUnexpectedEOF.
func (b *body) Read(p []byte) (int, error) {
	switch {
	case b.closed:
		return 0, http.ErrBodyReadAfterClose
	case b.left == 0:
		return 0, io.EOF
	case len(p) == 0:
		return 0, nil
	}
	n, err := b.conn.read(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	switch {
	case err == nil && b.left == 0:
		return n, io.EOF
	case err != nil && !errors.Is(err, os.ErrDeadlineExceeded):
		b.conn.cancel() // the client is gone
	}
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// Close makes further reads fail.
func (b *body) Close() error {
	b.closed = true
	return nil
}

// read reads what is in the buffer, or else what comes.
func (c *conn) read(p []byte) (int, error) {
	if n := c.in.take(p); n > 0 {
		return n, nil
	}
	if !c.readBounded {
		c.setReadDeadline(c.readWithin)
		c.readBounded = true
	}
	return c.conn.Read(p)
}

// whole reports whether all that is left of the body is in the buffer.
func (b *body) whole() bool { return b.left <= int64(len(b.conn.in.bytes())) }

// drop reads the rest of the body, and reports whether there was not too much
// of it, and it came.
func (b *body) drop() bool {
	if b.left > dropBytes {
		return false
	}
	if !b.whole() {
		b.conn.setReadDeadline(time.Now().Add(dropTime))
	}
	for b.left > 0 {
		in := &b.conn.in
		if in.from == in.to {
			in.from, in.to = 0, 0
			if b.conn.fill() != nil {
				return false
			}
		}
		n := min(b.left, int64(in.to-in.from))
		in.from += int(n)
		b.left -= n
	}
	return true
}

// linger lets the client read the last response.
func (c *conn) linger() {
	if c.body.left == 0 && len(c.in.bytes()) == 0 {
		return
	}
	if closeWrite(c.conn) != nil {
		return
	}
	c.setReadDeadline(time.Now().Add(lingerTime))
	for {
		if _, err := c.conn.Read(c.in.buffer); err != nil {
			return
		}
	}
}
