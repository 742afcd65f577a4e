// Package kafka speaks to the brokers: the record-batch codec (format v2) and
// raw requests over kafka-go's transport, which keeps the connections and
// knows which broker leads which partition.
//
// The requests are our own because kafka-go has no idempotent produce, decodes
// a fetch record by record, and has no topic ids; see exchange for how they
// travel. Brokers from Kafka 2.8 on are spoken to. The formats are those of
// https://kafka.apache.org/protocol.
package kafka

import (
	"context"
	"errors"
	"net"
	"sync/atomic"
	"time"

	kafkago "github.com/segmentio/kafka-go"

	"github.com/logpipeline/logpipeline/ingester/config"
)

const (
	dialTimeout = 5 * time.Second
	idleTimeout = 60 * time.Second
	// requestTimeout bounds one exchange, beside the time that the request
	// itself asks the broker to wait.
	requestTimeout = 10 * time.Second
	// severalTimeout bounds one attempt where a connection may go to several
	// bootstrap servers, so that one that doesn't answer leaves time for others.
	severalTimeout = 2 * time.Second
	// The transport reads the cluster's layout again after a random part of
	// its TTL, besides when an exchange failed as if a leader had moved: see
	// layout.
	metadataTTL          = 2 * time.Second
	metadataTTLAllTopics = 10 * time.Second
)

// Client sends requests to one Kafka cluster. It is safe for concurrent use.
// Its connections and their goroutines are kafka-go's, begin with the first
// request and end after Close.
type Client struct {
	config      config.Kafka
	address     net.Addr
	transport   *kafkago.Transport
	layout      layout
	correlation atomic.Int32
	answered    atomic.Bool // some broker has
}

// New returns a client of the cluster that cfg names; nothing is connected
// yet. Produce, Fetch and Offsets may ask for the given topics only; without
// any, for all topics, at the price of reading the metadata of all of them
// every few seconds.
//
// The files of cfg.TLS and cfg.SASL are read for each new connection.
func New(cfg config.Kafka, topics ...string) *Client {
	return NewWithCredentials(cfg, FileCredentials(cfg), topics...)
}

// NewWithCredentials is New with credentials from elsewhere than the files of
// cfg, which still says whether they are asked for and how. They are called
// for each new connection, by several goroutines at once.
func NewWithCredentials(cfg config.Kafka, credentials func() (Credentials, error), topics ...string) *Client {
	ttl := metadataTTL
	if len(topics) == 0 {
		ttl = metadataTTLAllTopics
	}
	dialer := &net.Dialer{Timeout: dialTimeout}
	if len(cfg.BootstrapServers) > 1 {
		dialer.Timeout = severalTimeout
	}
	return &Client{
		config:  cfg,
		address: kafkago.TCP(cfg.BootstrapServers...),
		transport: &kafkago.Transport{
			Dial:           secureDial(dialer.DialContext, cfg.TLS, credentials),
			SASL:           saslOf(cfg.SASL, credentials),
			DialTimeout:    dialTimeout,
			IdleTimeout:    idleTimeout,
			MetadataTTL:    ttl,
			MetadataTopics: topics,
			ClientID:       cfg.ClientID,
		},
	}
}

// Close closes the connections. No other method may be called afterwards, and
// none may be running.
func (c *Client) Close() { c.transport.CloseIdleConnections() }

// Admin returns kafka-go's client on the same connections, for requests that
// this package doesn't make. Creating topics waits until the client's own
// metadata shows them, so it needs a client without topics. Explain its errors.
func (c *Client) Admin() *kafkago.Client {
	return &kafkago.Client{Addr: c.address, Transport: c.transport}
}

// do sends a request and reads its response into r.response, within timeout.
// When it returns, nothing uses r's buffers any more. The error is an
// *ExchangeError, or wraps ErrNoRoom.
func (c *Client) do(ctx context.Context, r *request, timeout time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	if ctx.Err() == nil && (r.partition >= 0 || r.partition == oneBroker) {
		c.layout.current(ctx, c.readLayout)
	}
	if err := ctx.Err(); err != nil { // the transport may still take it to a connection
		return &ExchangeError{Sent: false, Err: err}
	}
	x := &exchange{request: r, done: make(chan struct{})}
	_, err := c.transport.RoundTrip(ctx, c.address, x)
	if x.abandon() {
		return &ExchangeError{Sent: false, Err: c.hint(err)}
	}
	<-x.done
	switch {
	case x.err == nil:
		c.answered.Store(true)
		return nil
	case errors.Is(x.err, ErrNoRoom):
		return x.err
	case ctx.Err() != nil: // it is why the connection was interrupted
		return &ExchangeError{Sent: true, Err: ctx.Err()}
	default:
		return &ExchangeError{Sent: true, Err: c.hint(x.err)}
	}
}
