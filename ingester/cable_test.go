package ingester

import (
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"strconv"
	"sync"
	"testing"

	"github.com/logpipeline/logpipeline/ingester/config"
)

// cable leads to a broker, and can be cut. It writes its own address into what
// the broker says of its address, so that nobody goes around it.
type cable struct {
	listener net.Listener
	broker   string
	own      []byte // host and port as a Metadata response has them
	others   []byte
	running  sync.WaitGroup

	mu    sync.Mutex
	state cableState
	mend  chan struct{} // closed when the cable is not silent any more
	open  map[net.Conn]bool
}

type cableState int

const (
	whole  cableState = iota
	cut               // connections end, and there are no new ones
	silent            // nothing comes through any more
)

// byCable leads a configuration's ingester to its broker by a cable.
func byCable(t *testing.T, cfg config.Config) (config.Config, *cable) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &cable{
		listener: listener, broker: cfg.Kafka.BootstrapServers[0],
		own: asMetadata(listener.Addr().String()), others: asMetadata(cfg.Kafka.BootstrapServers[0]),
		mend: make(chan struct{}), open: map[net.Conn]bool{},
	}
	close(c.mend)
	c.running.Go(c.accept)
	t.Cleanup(func() {
		listener.Close()
		c.become(cut)
		c.running.Wait()
	})
	cfg.Kafka.BootstrapServers = []string{listener.Addr().String()}
	return cfg, c
}

// asMetadata is how a response says an address: a string's bytes and an int32.
func asMetadata(address string) []byte {
	host, port, _ := net.SplitHostPort(address)
	n, _ := strconv.Atoi(port)
	return binary.BigEndian.AppendUint32([]byte(host), uint32(n))
}

func (c *cable) become(s cableState) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case s == silent && c.state != silent:
		c.mend = make(chan struct{})
	case s != silent && c.state == silent:
		close(c.mend)
	}
	c.state = s
	for end := range c.open {
		if s == cut {
			end.Close()
			delete(c.open, end)
		}
	}
}

func (c *cable) accept() {
	for {
		client, err := c.listener.Accept()
		if err != nil {
			return
		}
		broker, err := net.Dial("tcp", c.broker)
		c.mu.Lock()
		switch {
		case err != nil:
			client.Close()
		case c.state == cut:
			client.Close()
			broker.Close()
		default:
			c.open[client], c.open[broker] = true, true
			c.running.Go(func() { c.carry(broker, client, nil, nil) })
			c.running.Go(func() { c.carry(client, broker, c.others, c.own) })
		}
		c.mu.Unlock()
	}
}

// carry passes requests or responses on, until one end is closed.
func (c *cable) carry(to, from net.Conn, old, replacement []byte) {
	defer to.Close()
	defer from.Close()
	for {
		size := make([]byte, 4)
		if _, err := io.ReadFull(from, size); err != nil {
			return
		}
		frame := make([]byte, binary.BigEndian.Uint32(size))
		if _, err := io.ReadFull(from, frame); err != nil {
			return
		}
		if old != nil {
			frame = bytes.ReplaceAll(frame, old, replacement)
		}
		c.mu.Lock()
		mend := c.mend
		c.mu.Unlock()
		<-mend
		if _, err := to.Write(append(size, frame...)); err != nil {
			return
		}
	}
}
