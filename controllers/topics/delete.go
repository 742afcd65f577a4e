package topics

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/google/uuid"
	kafkago "github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Delete deletes the topic that has this identity, and no other one of its
// name. A topic that is already gone is no error. The cluster is asked first
// which one it is: the brokers that are reached under the same address may be
// another cluster by now.
func (c *Cluster) Delete(ctx context.Context, name string, identity Identity) error {
	id, err := uuid.Parse(identity.ID)
	if err != nil {
		return &Error{Failed, fmt.Errorf("delete topic %q: id %q: %w", name, identity.ID, err)}
	}
	live, err := c.client.Topic(ctx, name)
	if errors.Is(err, kafkago.UnknownTopicOrPartition) {
		return nil
	}
	if err != nil {
		return failed(err)
	}
	if (Identity{ClusterID: live.ClusterID, ID: live.ID}) != identity {
		return nil
	}
	err = c.deleteByID(ctx, id)
	if errors.Is(err, kafkago.UnknownTopicID) {
		return nil
	}
	if err != nil {
		return failed(fmt.Errorf("delete topic %q with id %s: %w", name, identity.ID, err))
	}
	return nil
}

// deleteVersion is the first DeleteTopics that takes ids (KIP-516), which
// kafka-go does not have.
const deleteVersion = 6

func (c *Cluster) deleteByID(ctx context.Context, id uuid.UUID) error {
	topic := kmsg.NewDeleteTopicsRequestTopic()
	topic.TopicID = id
	request := kmsg.NewPtrDeleteTopicsRequest()
	request.Topics = append(request.Topics, topic)
	request.SetVersion(deleteVersion)

	answer, err := c.admin.Transport.RoundTrip(ctx, c.admin.Addr, &deleteExchange{request: request})
	if err != nil {
		return err
	}
	response := answer.(*deleteExchange).response
	if len(response.Topics) != 1 {
		return fmt.Errorf("the answer is about %d topics instead of 1", len(response.Topics))
	}
	if code := response.Topics[0].ErrorCode; code != 0 {
		return kafkago.Error(code)
	}
	return nil
}

// deleteExchange sends a DeleteTopics request to the controller over
// kafka-go's transport.
type deleteExchange struct {
	request  *kmsg.DeleteTopicsRequest
	response *kmsg.DeleteTopicsResponse
}

// ApiKey implements protocol.Message.
func (*deleteExchange) ApiKey() protocol.ApiKey { return protocol.DeleteTopics } //nolint:revive // kafka-go names it

// Broker implements protocol.BrokerMessage.
func (*deleteExchange) Broker(cluster protocol.Cluster) (protocol.Broker, error) {
	return cluster.Brokers[cluster.Controller], nil
}

// Required implements protocol.RawExchanger.
func (*deleteExchange) Required(map[protocol.ApiKey]int16) bool { return true }

// RawExchange implements protocol.RawExchanger. The transport gives the
// connection to nobody else meanwhile, so one correlation id serves.
func (x *deleteExchange) RawExchange(connection io.ReadWriter) (protocol.Message, error) {
	const correlation = 1
	formatter := kmsg.NewRequestFormatter(kmsg.FormatterClientID(clientID))
	if _, err := connection.Write(formatter.AppendRequest(nil, x.request, correlation)); err != nil {
		return nil, err
	}
	body, err := readResponse(connection, correlation)
	if err != nil {
		return nil, err
	}
	response := x.request.ResponseKind().(*kmsg.DeleteTopicsResponse)
	if err := response.ReadFrom(body); err != nil {
		return nil, fmt.Errorf("read DeleteTopics response: %w", err)
	}
	return &deleteExchange{response: response}, nil
}

const responseLimit = 1 << 20

// readResponse reads a response with the flexible header (correlation id,
// tags) and returns its body.
func readResponse(r io.Reader, correlation uint32) ([]byte, error) {
	var size [4]byte
	if _, err := io.ReadFull(r, size[:]); err != nil {
		return nil, err
	}
	n := binary.BigEndian.Uint32(size[:])
	if n < 5 || n > responseLimit {
		return nil, fmt.Errorf("read response: broker announces %d bytes, expected 5 to %d", n, responseLimit)
	}
	response := make([]byte, n)
	if _, err := io.ReadFull(r, response); err != nil {
		return nil, err
	}
	if got := binary.BigEndian.Uint32(response); got != correlation {
		return nil, fmt.Errorf("read response: it answers request %d, not %d", got, correlation)
	}
	if tags := response[4]; tags != 0 {
		return nil, fmt.Errorf("read response: its header has %d tags, expected none", tags)
	}
	return response[5:], nil
}
