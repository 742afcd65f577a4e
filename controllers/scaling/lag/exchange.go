package lag

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/segmentio/kafka-go/protocol"
)

// exchangeTimeout bounds one request with its answer.
const exchangeTimeout = 10 * time.Second

// anyBroker is for requests that every broker answers.
const anyBroker = -1

// correlation is every request's: a connection carries one at a time.
const correlation = 1

// exchange is a request of our own on its way through kafka-go's transport,
// whose protocol ends below the versions that ask about many groups, or knows
// no topic ids. The answer is read as it comes in, never held as a whole: a
// Fetch may return much that nobody looks at.
type exchange[T any] struct {
	broker int32
	key    protocol.ApiKey
	head   []byte // the whole request, from its size on
	read   func(*decoder) T
	answer T
}

// ask sends a request to a broker and reads its answer. The error says that
// there is no valid one.
func ask[T any](ctx context.Context, c *Cluster, x exchange[T]) (T, error) {
	ctx, cancel := context.WithTimeout(ctx, exchangeTimeout)
	defer cancel()
	binary.BigEndian.PutUint32(x.head, uint32(len(x.head)-4))
	// The transport may return while the exchange still runs: what it reads
	// is seen only when it is handed back.
	response, err := c.transport.RoundTrip(ctx, c.address, &x)
	if err != nil {
		var none T
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			err = fmt.Errorf("%w (brokers before Kafka 3.0 close the connection here)", err)
		}
		return none, fmt.Errorf("ask for %s: %w", x.key, err)
	}
	return response.(*exchange[T]).answer, nil
}

// request begins a request with its size, which ask fills in, and the header
// of version 1, or 2 when flexible.
func (c *Cluster) request(key protocol.ApiKey, version int16, flexible bool) []byte {
	b := make([]byte, 4, 512)
	b = appendInt16(b, int16(key))
	b = appendInt16(b, version)
	b = appendInt32(b, correlation)
	b = appendString(b, c.clientID)
	if flexible {
		b = append(b, 0) // no tagged fields
	}
	return b
}

// ApiKey implements protocol.Message.
func (x *exchange[T]) ApiKey() protocol.ApiKey { return x.key } //nolint:revive // kafka-go's interface spells it so

// Required implements protocol.RawExchanger.
func (x *exchange[T]) Required(map[protocol.ApiKey]int16) bool { return true }

// Broker implements protocol.BrokerMessage.
func (x *exchange[T]) Broker(cluster protocol.Cluster) (protocol.Broker, error) {
	if x.broker == anyBroker {
		return protocol.Broker{ID: anyBroker}, nil
	}
	broker, known := cluster.Brokers[x.broker]
	if !known {
		return protocol.Broker{}, fmt.Errorf("broker %d is not known yet", x.broker)
	}
	return broker, nil
}

// RawExchange implements protocol.RawExchanger. An error makes the transport
// close the connection.
func (x *exchange[T]) RawExchange(connection io.ReadWriter) (protocol.Message, error) {
	if _, err := connection.Write(x.head); err != nil {
		return nil, fmt.Errorf("write request: %w", err)
	}
	var size [4]byte
	if _, err := io.ReadFull(connection, size[:]); err != nil {
		return nil, fmt.Errorf("read response: %w", err)
	}
	n := int64(int32(binary.BigEndian.Uint32(size[:])))
	d := newDecoder(bufio.NewReader(io.LimitReader(connection, n)), n)
	if id := d.int32(); d.err == nil && id != correlation {
		return nil, fmt.Errorf("read response: it answers request %d, not %d", id, correlation)
	}
	x.answer = x.read(d)
	d.skip(d.left)
	if d.err != nil {
		return nil, fmt.Errorf("read response: %w", d.err)
	}
	return x, nil
}
