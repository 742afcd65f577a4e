package load

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"
)

// response is what a load needs to know of an HTTP response.
type response struct {
	status int
	closes bool // the server closes the connection
}

// connection is one HTTP/1.1 connection on which requests follow each other.
// It is opened when it is first needed, and again after it broke.
type connection struct {
	address  string
	patience time.Duration
	conn     net.Conn
	reader   *bufio.Reader
}

// exchange sends a whole rendered request and reads its response. After an
// error the outcome is unknown and the next exchange opens a new connection.
func (c *connection) exchange(request []byte) (response, error) {
	r, err := c.tryExchange(request)
	if err != nil || r.closes {
		c.close()
	}
	return r, err
}

func (c *connection) tryExchange(request []byte) (response, error) {
	deadline := time.Now().Add(c.patience)
	if c.conn == nil {
		if err := c.open(deadline); err != nil {
			return response{}, err
		}
	}
	if err := c.conn.SetDeadline(deadline); err != nil {
		return response{}, err
	}
	// A server may answer, and close, before it has read the body: its
	// response counts, not that the rest could not be written.
	_, written := c.conn.Write(request)
	r, err := readResponse(c.reader)
	if err != nil {
		return response{}, errors.Join(written, err)
	}
	r.closes = r.closes || written != nil
	return r, nil
}

func (c *connection) open(deadline time.Time) error {
	dialer := net.Dialer{Deadline: deadline}
	conn, err := dialer.Dial("tcp", c.address)
	if err != nil {
		return err
	}
	c.conn = conn
	c.reader = bufio.NewReader(conn)
	return nil
}

func (c *connection) close() {
	if c.conn != nil {
		_ = c.conn.Close() // what was answered has been read
		c.conn = nil
	}
}

// readResponse reads one response to its end and drops the body. Headers that
// don't say where it ends are an error (RFC 9112, section 6.3).
func readResponse(r *bufio.Reader) (response, error) {
	line, err := readLine(r)
	if err != nil {
		return response{}, err
	}
	status, err := parseStatus(line)
	if err != nil {
		return response{}, err
	}
	if status/100 == 1 {
		if _, _, _, err := readHeader(r); err != nil {
			return response{}, err
		}
		return readResponse(r)
	}
	length, chunked, closes, err := readHeader(r)
	if err != nil {
		return response{}, err
	}
	switch {
	case chunked:
		err = discardChunks(r)
	case length >= 0:
		_, err = r.Discard(length)
	case status == 204 || status == 304:
	default:
		err = fmt.Errorf("a response of status %d has neither Content-Length nor chunks", status)
	}
	return response{status, closes}, err
}

func parseStatus(line []byte) (int, error) {
	rest, found := bytes.CutPrefix(line, []byte("HTTP/1.1 "))
	if !found || len(rest) < 3 {
		return 0, fmt.Errorf("status line is %q", line)
	}
	status, err := strconv.Atoi(string(rest[:3]))
	if err != nil {
		return 0, fmt.Errorf("status line is %q", line)
	}
	return status, nil
}

func readHeader(r *bufio.Reader) (length int, chunked, closes bool, err error) {
	length = -1
	for {
		line, err := readLine(r)
		if err != nil {
			return 0, false, false, err
		}
		if len(line) == 0 {
			return length, chunked, closes, nil
		}
		name, value, _ := bytes.Cut(line, []byte(":"))
		value = bytes.TrimSpace(value)
		switch {
		case equalFold(name, "Content-Length"):
			if length, err = strconv.Atoi(string(value)); err != nil {
				return 0, false, false, fmt.Errorf("read Content-Length: %w", err)
			}
		case equalFold(name, "Transfer-Encoding"):
			chunked = equalFold(value, "chunked")
		case equalFold(name, "Connection"):
			closes = equalFold(value, "close")
		}
	}
}

func discardChunks(r *bufio.Reader) error {
	for {
		line, err := readLine(r)
		if err != nil {
			return err
		}
		size, err := strconv.ParseInt(string(line), 16, 32)
		if err != nil {
			return fmt.Errorf("read the size of a chunk: %w", err)
		}
		if _, err := io.CopyN(io.Discard, r, size+2); err != nil {
			return err
		}
		if size == 0 {
			return nil
		}
	}
}

// readLine returns a line without its end, valid until the next read.
func readLine(r *bufio.Reader) ([]byte, error) {
	line, err := r.ReadSlice('\n')
	if err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(line[:len(line)-1], []byte("\r")), nil
}

func equalFold(b []byte, s string) bool { return strings.EqualFold(string(b), s) }
