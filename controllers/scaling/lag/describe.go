package lag

import (
	"context"

	"github.com/google/uuid"
	kafkago "github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"
)

// metadataVersion is the first with topic ids; flexible.
const metadataVersion = 10

// topic is what the cluster says of a topic.
type topic struct {
	id uuid.UUID
	// leaders by partition: a broker's id, -1 while there is none.
	leaders map[int32]int32
	refusal kafkago.Error // 0 when the topic is there
}

// describe asks for all topics in one request. None is created.
func (c *Cluster) describe(ctx context.Context, names []string) (map[string]topic, error) {
	b := appendCompactCount(c.request(protocol.Metadata, metadataVersion, true), len(names))
	for _, name := range names {
		b = append(b, make([]byte, 16)...) // no id: it is asked for by name
		b = appendCompactString(b, name)
		b = append(b, 0) // tags
	}
	b = append(b, 0, 0, 0, 0) // create: no; authorized operations of cluster, topic: no; tags
	return ask(ctx, c, exchange[map[string]topic]{broker: anyBroker, key: protocol.Metadata, head: b, read: readTopics})
}

// readTopics reads a Metadata response v10.
func readTopics(d *decoder) map[string]topic {
	d.tags()
	d.skip(4) // throttle time
	for range d.compactCount(11) {
		d.skip(4)         // node id
		d.compactString() // host
		d.skip(4)         // port
		d.compactString() // rack
		d.tags()
	}
	d.compactString() // cluster id
	d.skip(4)         // controller
	topics := map[string]topic{}
	for range d.compactCount(26) {
		t := topic{refusal: kafkago.Error(d.int16()), leaders: map[int32]int32{}}
		name := d.compactString()
		t.id = d.uuid()
		d.skip(1) // internal
		for range d.compactCount(18) {
			d.skip(2) // error: a missing leader is told by its id
			partition := d.int32()
			t.leaders[partition] = d.int32()
			d.skip(4)     // leader epoch
			for range 3 { // replicas, in-sync replicas, offline replicas
				d.skip(4 * int64(d.compactCount(4)))
			}
			d.tags()
		}
		d.skip(4) // authorized operations
		d.tags()
		topics[name] = t
	}
	return topics
}
