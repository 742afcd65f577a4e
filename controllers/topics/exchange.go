package topics

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/segmentio/kafka-go/protocol"
	"github.com/segmentio/kafka-go/protocol/createtopics"
)

const (
	// exchangeTimeout bounds one request with its answer.
	exchangeTimeout = 10 * time.Second
	// longestResponse that is read, in bytes: many times what a batch is.
	longestResponse = 64 << 20
	// correlation is every request's: a connection carries one at a time.
	correlation = 1
)

// exchange is a request of our own on its way through kafka-go's transport. It
// is its own answer: the transport may return while the exchange still runs,
// and what it reads is seen only when it is handed back.
type exchange struct {
	key      protocol.ApiKey
	request  []byte // the whole, from its size on
	response []byte // from behind the correlation id on
}

// ask sends a request to any broker and reads its answer.
func (c *Cluster) ask(ctx context.Context, key protocol.ApiKey, request []byte) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, exchangeTimeout)
	defer cancel()
	binary.BigEndian.PutUint32(request, uint32(len(request)-4))
	answer, err := c.admin.Transport.RoundTrip(ctx, c.address, &exchange{key: key, request: request})
	if err != nil {
		return nil, err
	}
	return answer.(*exchange).response, nil
}

// newRequest begins a flexible request with its size, which ask fills in, and
// its header.
func newRequest(key protocol.ApiKey, version int16) []byte {
	b := make([]byte, 4, 512)
	b = binary.BigEndian.AppendUint16(b, uint16(key))
	b = binary.BigEndian.AppendUint16(b, uint16(version))
	b = binary.BigEndian.AppendUint32(b, correlation)
	b = binary.BigEndian.AppendUint16(b, uint16(len(clientID)))
	b = append(b, clientID...)
	return append(b, 0) // no tagged fields
}

// ApiKey implements protocol.Message.
func (x *exchange) ApiKey() protocol.ApiKey { return x.key } //nolint:revive // kafka-go's interface spells it so

// Required implements protocol.RawExchanger.
func (x *exchange) Required(map[protocol.ApiKey]int16) bool { return true }

// Broker implements protocol.BrokerMessage.
func (x *exchange) Broker(protocol.Cluster) (protocol.Broker, error) {
	return protocol.Broker{ID: -1}, nil
}

// RawExchange implements protocol.RawExchanger. An error makes the transport
// close the connection.
func (x *exchange) RawExchange(connection io.ReadWriter) (protocol.Message, error) {
	if _, err := connection.Write(x.request); err != nil {
		return nil, fmt.Errorf("write %s request: %w", x.key, err)
	}
	var head [8]byte
	if _, err := io.ReadFull(connection, head[:]); err != nil {
		return nil, fmt.Errorf("read %s response: %w", x.key, err)
	}
	size, id := binary.BigEndian.Uint32(head[:]), binary.BigEndian.Uint32(head[4:])
	if size < 4 || size > longestResponse || id != correlation {
		return nil, fmt.Errorf("read %s response: %w: it has %d bytes and answers request %d", x.key, errMalformed, size, id)
	}
	response := make([]byte, size-4)
	if _, err := io.ReadFull(connection, response); err != nil {
		return nil, fmt.Errorf("read %s response: %w", x.key, err)
	}
	return &exchange{key: x.key, response: response}, nil
}

// creation is a request to create topics after which the transport doesn't
// wait until its own metadata shows them, for it holds none of topics.
type creation struct {
	createtopics.Request
	version int16
}

// created is the answer to a creation.
type created struct {
	createtopics.Response
}

// Required implements protocol.RawExchanger: it notes the version that client
// and broker have agreed on.
func (c *creation) Required(versions map[protocol.ApiKey]int16) bool {
	c.version = versions[protocol.CreateTopics]
	return true
}

// RawExchange implements protocol.RawExchanger.
func (c *creation) RawExchange(connection io.ReadWriter) (protocol.Message, error) {
	answer, err := protocol.RoundTrip(connection, c.version, correlation, clientID, &c.Request)
	if err != nil {
		return nil, err
	}
	response, ok := answer.(*createtopics.Response)
	if !ok {
		return nil, fmt.Errorf("read %s response: %w", protocol.CreateTopics, errMalformed)
	}
	return &created{*response}, nil
}

var errMalformed = errors.New("malformed response")

// appendCompactCount writes the length of a string or array as the flexible
// versions have it: plus one.
func appendCompactCount(b []byte, n int) []byte { return binary.AppendUvarint(b, uint64(n)+1) }

func appendCompactString(b []byte, s string) []byte {
	return append(appendCompactCount(b, len(s)), s...)
}
