package kafka

import (
	"context"
	"fmt"

	"github.com/segmentio/kafka-go/protocol"
)

// ProducerID names a writer to the brokers: together with a partition and a
// sequence it lets them tell a batch that is resent from a new one.
type ProducerID struct {
	ID    int64
	Epoch int16
}

// NoProducer, with the sequence -1, seals a batch that no broker tells from
// another: sent twice, it is in the log twice. Idempotence promises nothing
// beneath AcksAll, since a new leader may not know the last sequences.
var NoProducer = ProducerID{ID: -1, Epoch: -1}

const (
	initProducerIDVersion = 1
	smallResponse         = 1 << 20
)

// InitProducerID asks any broker for a producer id that nobody else has. (The
// request goes to no coordinator: only transactions need one.) A broker that has
// just started answers COORDINATOR_LOAD_IN_PROGRESS while it reserves ids: ask
// again.
func (c *Client) InitProducerID(ctx context.Context) (ProducerID, error) {
	r := &request{partition: anyBroker, limit: smallResponse}
	c.begin(r, protocol.InitProducerId, initProducerIDVersion, false)
	r.head = appendInt16(r.head, -1)      // no transactional id
	r.head = appendInt32(r.head, 1<<31-1) // transaction time-out: unused
	if err := c.do(ctx, r, requestTimeout); err != nil {
		return ProducerID{}, fmt.Errorf("get producer id: %w", err)
	}
	id, err := parseInitProducerID(r.response)
	if err != nil {
		return ProducerID{}, fmt.Errorf("get producer id: %w", err)
	}
	return id, nil
}

func parseInitProducerID(response []byte) (ProducerID, error) {
	d := newDecoder(response, false)
	d.skip(4) // throttle time
	code := d.int16()
	id := ProducerID{ID: d.int64(), Epoch: d.int16()}
	if d.err != nil {
		return ProducerID{}, malformed(d.err)
	}
	if err := codeError(code, ""); err != nil {
		return ProducerID{}, err
	}
	if id.ID < 0 || id.Epoch < 0 {
		return ProducerID{}, malformed(fmt.Errorf("producer id %d, epoch %d", id.ID, id.Epoch))
	}
	return id, nil
}
