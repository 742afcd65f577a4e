package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
)

// counter stands between the operator and the broker, and counts requests and
// connections. The broker's answers name the counter in place of the broker,
// so that no connection goes around it.
type counter struct {
	listener    net.Listener
	broker      string
	named, here []byte // how answers name the broker, and how they shall
	requests    atomic.Int64
	open        atomic.Int64
	running     sync.WaitGroup
}

// largestFrame is more than any answer that the operator asks for.
const largestFrame = 64 << 20

func startCounter(broker string) (*counter, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // loopback
	if err != nil {
		return nil, err
	}
	c := &counter{listener: listener, broker: broker}
	if c.named, err = advertised(broker); err != nil {
		return nil, errors.Join(err, listener.Close())
	}
	if c.here, err = advertised(listener.Addr().String()); err != nil {
		return nil, errors.Join(err, listener.Close())
	}
	if len(c.here) != len(c.named) {
		return nil, errors.Join(fmt.Errorf("--kafka is %q: want an address of 127.0.0.1, as the broker itself names it", broker), listener.Close())
	}
	c.running.Go(c.accept)
	return c, nil
}

// advertised is how answers spell an address: the host, then its port as four
// bytes (Metadata and FindCoordinator, all versions).
func advertised(address string) ([]byte, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	number, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return nil, err
	}
	return binary.BigEndian.AppendUint32([]byte(host), uint32(number)), nil
}

func (c *counter) address() string { return c.listener.Addr().String() }

// stop returns once all connections are closed: the operator has to be gone.
func (c *counter) stop() error {
	err := c.listener.Close()
	c.running.Wait()
	return err
}

func (c *counter) accept() {
	for {
		connection, err := c.listener.Accept()
		if err != nil {
			return
		}
		c.running.Go(func() { c.serve(connection) })
	}
}

func (c *counter) serve(asking net.Conn) {
	defer func() { _ = asking.Close() }()
	broker, err := (&net.Dialer{}).DialContext(context.Background(), "tcp", c.broker)
	if err != nil {
		return
	}
	c.open.Add(1)
	defer c.open.Add(-1)
	var answers sync.WaitGroup
	answers.Go(func() {
		_ = frames(asking, broker, func(frame []byte) []byte { return bytes.ReplaceAll(frame, c.named, c.here) })
		_ = asking.Close()
	})
	_ = frames(broker, asking, func(frame []byte) []byte { c.requests.Add(1); return frame })
	_ = broker.Close()
	answers.Wait()
}

// frames copies requests or answers, each with its size of four bytes ahead,
// until one of the connections ends.
func frames(to io.Writer, from io.Reader, edit func([]byte) []byte) error {
	var frame []byte
	for {
		var size [4]byte
		if _, err := io.ReadFull(from, size[:]); err != nil {
			return err
		}
		n := binary.BigEndian.Uint32(size[:])
		if n > largestFrame {
			return fmt.Errorf("a frame has %d bytes", n)
		}
		frame = append(frame[:0], size[:]...)
		frame = append(frame, make([]byte, n)...)
		if _, err := io.ReadFull(from, frame[len(size):]); err != nil {
			return err
		}
		if _, err := to.Write(edit(frame)); err != nil {
			return err
		}
	}
}
