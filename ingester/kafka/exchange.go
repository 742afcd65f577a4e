package kafka

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/segmentio/kafka-go/protocol"
	"github.com/segmentio/kafka-go/protocol/createtopics"
)

// smallPayload is the most that is copied behind the head of a request, to
// leave in one write with it.
const smallPayload = 64 << 10

// request is one encoded request and the room for its response.
type request struct {
	key         protocol.ApiKey
	correlation int32
	// topic and partition choose the broker, their leader; partition may
	// also be anyBroker, controller, or oneBroker, whose id broker is.
	topic     string
	partition int32
	broker    int32
	head      []byte // the request from its size on, up to the payload
	payload   []byte // ends the request; read until the exchange is over
	response  []byte // from the correlation id on; its capacity is reused
	// room, unless it is nil, gives the response its buffer.
	room  func(n int) []byte
	limit int // bytes of the largest response that is accepted
}

// Instead of a partition's leader.
const (
	anyBroker  = -1
	controller = -2
	oneBroker  = -3
)

// exchange is one request on its way through kafka-go's transport, which
// hands it a connection that nobody else uses meanwhile.
//
// The transport returns to its caller when the context ends, although the
// exchange may not even have begun by then. Its caller then abandons it: an
// exchange that hasn't begun sends nothing; one that has is interrupted and
// waited for, and the wait is short. An exchange is never used twice.
type exchange struct {
	request *request
	done    chan struct{} // closed when a begun exchange is over
	err     error         // why it failed; read after done

	mu         sync.Mutex
	state      exchangeState
	connection io.ReadWriter // while it is running
}

type exchangeState int

const (
	waiting exchangeState = iota
	running
	over
	abandoned
)

var errAbandoned = errors.New("request was abandoned")

// abandon keeps an exchange from beginning, and interrupts one that is running.
// It is true when nothing was, and will be, sent.
func (x *exchange) abandon() (unsent bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	switch x.state {
	case waiting:
		x.state = abandoned
		return true
	case running:
		x.state = abandoned
		interrupt(x.connection)
	}
	return false
}

// begin is false when the exchange was abandoned.
func (x *exchange) begin(connection io.ReadWriter) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.state != waiting {
		return false
	}
	x.state, x.connection = running, connection
	return true
}

// end is false when the exchange was abandoned. Afterwards nobody touches the
// connection on its behalf.
func (x *exchange) end() bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.connection = nil
	if x.state == abandoned {
		return false
	}
	x.state = over
	return true
}

// ApiKey implements protocol.Message.
func (x *exchange) ApiKey() protocol.ApiKey { return x.request.key }

// Required implements protocol.RawExchanger.
func (x *exchange) Required(map[protocol.ApiKey]int16) bool { return true }

// Broker implements protocol.BrokerMessage.
func (x *exchange) Broker(cluster protocol.Cluster) (protocol.Broker, error) {
	r := x.request
	if r.partition == anyBroker {
		return protocol.Broker{ID: -1}, nil
	}
	if len(cluster.Brokers) == 0 {
		return protocol.Broker{}, fmt.Errorf("no broker has answered yet")
	}
	switch r.partition {
	case controller:
		broker, ok := cluster.Brokers[cluster.Controller]
		if !ok {
			return protocol.Broker{}, fmt.Errorf("the cluster has no controller")
		}
		return broker, nil
	case oneBroker:
		broker, ok := cluster.Brokers[r.broker]
		if !ok {
			return protocol.Broker{}, fmt.Errorf("metadata has no broker %d", r.broker)
		}
		return broker, nil
	}
	partition, ok := cluster.Topics[r.topic].Partitions[r.partition]
	if !ok {
		return protocol.Broker{}, fmt.Errorf("metadata has no partition %d of topic %q", r.partition, r.topic)
	}
	leader, ok := cluster.Brokers[partition.Leader]
	if !ok {
		return protocol.Broker{}, fmt.Errorf("partition %d of topic %q has no leader", r.partition, r.topic)
	}
	return leader, nil
}

// RawExchange implements protocol.RawExchanger. An error makes the transport
// close the connection.
func (x *exchange) RawExchange(connection io.ReadWriter) (protocol.Message, error) {
	if !x.begin(connection) {
		return nil, errAbandoned
	}
	defer close(x.done)
	x.err = x.request.roundTrip(connection)
	if !x.end() && x.err == nil {
		return nil, errAbandoned // the answer counts, but the connection has no time left
	}
	return x, x.err
}

func interrupt(connection io.ReadWriter) {
	if c, ok := connection.(interface{ SetDeadline(time.Time) error }); ok {
		_ = c.SetDeadline(time.Unix(1, 0)) // fails only on a closed connection
	}
}

func (r *request) roundTrip(connection io.ReadWriter) error {
	if err := r.write(connection); err != nil {
		return err
	}
	var size [4]byte
	if _, err := io.ReadFull(connection, size[:]); err != nil {
		return fmt.Errorf("read %s response: %w", r.key, err)
	}
	n := int64(binary.BigEndian.Uint32(size[:]))
	if n < 4 || n > int64(r.limit) {
		return fmt.Errorf("read %s response: broker announces %d bytes, expected 4 to %d", r.key, n, r.limit)
	}
	if err := r.makeRoom(int(n)); err != nil {
		return err
	}
	if _, err := io.ReadFull(connection, r.response); err != nil {
		return fmt.Errorf("read %s response: %w", r.key, err)
	}
	if id := int32(binary.BigEndian.Uint32(r.response)); id != r.correlation {
		return fmt.Errorf("read %s response: it answers request %d, not %d", r.key, id, r.correlation)
	}
	return nil
}

func (r *request) makeRoom(n int) error {
	if r.room == nil {
		r.response = slices.Grow(r.response[:0], n)[:n]
		return nil
	}
	buffer := r.room(n)
	if buffer == nil {
		return fmt.Errorf("%w of %d bytes", ErrNoRoom, n)
	}
	r.response = buffer[:n]
	return nil
}

func (r *request) write(w io.Writer) error {
	binary.BigEndian.PutUint32(r.head, uint32(len(r.head)+len(r.payload)-4))
	payload := r.payload
	if len(payload) <= smallPayload {
		r.head = append(r.head, payload...)
		payload = nil
	}
	if _, err := w.Write(r.head); err != nil {
		return fmt.Errorf("write %s request: %w", r.key, err)
	}
	if len(payload) == 0 {
		return nil
	}
	if _, err := w.Write(payload); err != nil {
		return fmt.Errorf("write %s request: %w", r.key, err)
	}
	return nil
}

// layoutReading is a message that sends nothing. To the transport it looks
// like the creation of no topics, and what it does after one is what is
// wanted: it reads the layout before it returns. It has no other way to be
// told (kafka-go v0.4.51, connPool.roundTrip).
type layoutReading struct{}

// ApiKey implements protocol.Message.
func (layoutReading) ApiKey() protocol.ApiKey { return protocol.CreateTopics }

// Required implements protocol.RawExchanger.
func (layoutReading) Required(map[protocol.ApiKey]int16) bool { return true }

// Broker implements protocol.BrokerMessage.
func (layoutReading) Broker(protocol.Cluster) (protocol.Broker, error) {
	return protocol.Broker{ID: -1}, nil
}

// RawExchange implements protocol.RawExchanger.
func (layoutReading) RawExchange(io.ReadWriter) (protocol.Message, error) {
	return new(createtopics.Response), nil
}
