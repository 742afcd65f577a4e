package kafka

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/google/uuid"
	"github.com/segmentio/kafka-go/protocol"
)

// Topic is what the cluster says of a topic.
type Topic struct {
	// ClusterID and ID tell this topic from one of the same name in another
	// cluster or before a deletion. ID is the topic id in the usual text of a
	// UUID (not in the base64 that Kafka's own tools print).
	ClusterID string
	ID        string
	Name      string
	// Partitions are sorted by their ID.
	Partitions []Partition
}

// Partition is one partition of a topic.
type Partition struct {
	ID          int32
	Leader      int32 // a broker's id, -1 while there is none
	LeaderEpoch int32 // -1 when unknown
}

const (
	metadataVersion = 10 // the first with topic ids; flexible
	metadataLimit   = 64 << 20
)

// Topic asks any broker for a topic; it never creates one. The error is
// UnknownTopic when the cluster doesn't have it, ErrUnreachable when nobody
// answered.
func (c *Client) Topic(ctx context.Context, name string) (Topic, error) {
	r := &request{partition: anyBroker, limit: metadataLimit}
	c.begin(r, protocol.Metadata, metadataVersion, true)
	h := append(r.head, 2)             // one topic
	h = append(h, make([]byte, 16)...) // no id: it is asked for by name
	h = appendCompactString(h, name)
	h = append(h, 0, 0, 0, 0, 0) // tags; create: no; authorized operations of cluster, topic: no; tags
	r.head = h
	if err := c.do(ctx, r, requestTimeout); err != nil {
		return Topic{}, fmt.Errorf("describe topic %q: %w", name, err)
	}
	topic, err := parseMetadata(r.response, name)
	if err != nil {
		return Topic{}, fmt.Errorf("describe topic %q: %w", name, err)
	}
	return topic, nil
}

// parseMetadata finds the named topic in a Metadata response v10.
func parseMetadata(response []byte, name string) (Topic, error) {
	d := newDecoder(response, true)
	d.skip(4) // throttle time
	for range d.compactCount(11) {
		skipBroker(&d)
	}
	topic := Topic{Name: name, ClusterID: d.compactString()}
	d.skip(4) // controller
	found := false
	var refusal error
	for range d.compactCount(26) {
		t, code := readTopic(&d)
		if t.Name != name {
			continue
		}
		found, refusal = true, codeError(code, "")
		topic.ID, topic.Partitions = t.ID, t.Partitions
	}
	switch {
	case d.err != nil:
		return Topic{}, malformed(d.err)
	case !found:
		return Topic{}, malformed(fmt.Errorf("response doesn't mention the topic"))
	case refusal != nil:
		return Topic{}, refusal
	}
	slices.SortFunc(topic.Partitions, func(a, b Partition) int { return cmp.Compare(a.ID, b.ID) })
	return topic, nil
}

func skipBroker(d *decoder) {
	d.skip(4)         // node id
	d.compactString() // host
	d.skip(4)         // port
	d.compactString() // rack
	d.tags()
}

func readTopic(d *decoder) (topic Topic, code int16) {
	code = d.int16()
	topic.Name = d.compactString()
	if id := d.take(16); id != nil {
		topic.ID = uuid.UUID(id).String()
	}
	d.skip(1) // internal
	n := d.compactCount(18)
	topic.Partitions = make([]Partition, 0, n)
	for range n {
		topic.Partitions = append(topic.Partitions, readPartition(d))
	}
	d.skip(4) // authorized operations
	d.tags()
	return topic, code
}

func readPartition(d *decoder) Partition {
	d.skip(2) // error: a missing leader is told by its id
	p := Partition{ID: d.int32(), Leader: d.int32(), LeaderEpoch: d.int32()}
	for range 3 { // replicas, in-sync replicas, offline replicas
		d.skip(4 * d.compactCount(4))
	}
	d.tags()
	return p
}

// malformed is a response that can't be read: no valid answer to a request
// that was sent.
func malformed(err error) error {
	return &ExchangeError{Sent: true, Err: fmt.Errorf("malformed response: %w", err)}
}
