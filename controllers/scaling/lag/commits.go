package lag

import (
	"context"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"
)

// Both are the first that ask about many groups at once (KIP-699 and KIP-709,
// Kafka 3.0); flexible.
const (
	findCoordinatorVersion = 4
	offsetFetchVersion     = 8
)

// coordinator is the broker that keeps a group's commits.
type coordinator struct {
	broker  int32
	refusal kafkago.Error // 0 when there is one
}

// findCoordinators asks for the coordinators of all groups in one request.
func (c *Cluster) findCoordinators(ctx context.Context, groups []string) (map[string]coordinator, error) {
	b := append(c.request(protocol.FindCoordinator, findCoordinatorVersion, true), 0) // of groups
	b = appendCompactCount(b, len(groups))
	for _, group := range groups {
		b = appendCompactString(b, group)
	}
	b = append(b, 0) // tags
	return ask(ctx, c, exchange[map[string]coordinator]{
		broker: anyBroker, key: protocol.FindCoordinator, head: b, read: readCoordinators,
	})
}

// readCoordinators reads a FindCoordinator response v4.
func readCoordinators(d *decoder) map[string]coordinator {
	d.tags()
	d.skip(4) // throttle time
	found := map[string]coordinator{}
	for range d.compactCount(14) {
		group := d.compactString()
		broker := d.int32()
		d.compactString() // host
		d.skip(4)         // port
		found[group] = coordinator{broker: broker, refusal: kafkago.Error(d.int16())}
		d.compactString() // error message
		d.tags()
	}
	d.tags()
	return found
}

// commits are what one group has committed for one topic.
type commits struct {
	offsets map[int32]int64 // by partition; none is missing, or negative
	refusal kafkago.Error
}

// wantedCommits are the partitions of a topic whose commits by a group are
// asked for.
type wantedCommits struct {
	group, topic string
	partitions   []int32
}

// fetchCommits asks a coordinator for the commits of all its groups in one
// request. The answer is by group and topic.
func (c *Cluster) fetchCommits(ctx context.Context, broker int32, wanted []wantedCommits) (map[groupTopic]commits, error) {
	b := appendCompactCount(c.request(protocol.OffsetFetch, offsetFetchVersion, true), len(wanted))
	for _, w := range wanted {
		b = appendCompactString(b, w.group)
		b = appendCompactCount(b, 1)
		b = appendCompactString(b, w.topic)
		b = appendCompactCount(b, len(w.partitions))
		for _, partition := range w.partitions {
			b = appendInt32(b, partition)
		}
		b = append(b, 0, 0) // tags of topic, group
	}
	b = append(b, 0, 0) // unstable offsets are welcome; tags
	return ask(ctx, c, exchange[map[groupTopic]commits]{broker: broker, key: protocol.OffsetFetch, head: b, read: readCommits})
}

type groupTopic struct{ group, topic string }

// readCommits reads an OffsetFetch response v8.
func readCommits(d *decoder) map[groupTopic]commits {
	d.tags()
	d.skip(4) // throttle time
	all := map[groupTopic]commits{}
	for range d.compactCount(5) {
		group := d.compactString()
		ofGroup := map[string]commits{}
		for range d.compactCount(3) {
			name := d.compactString()
			ofGroup[name] = readTopicCommits(d)
		}
		refusal := kafkago.Error(d.int16())
		d.tags()
		for name, found := range ofGroup {
			if refusal != 0 {
				found.refusal = refusal
			}
			all[groupTopic{group, name}] = found
		}
		if refusal != 0 && len(ofGroup) == 0 {
			all[groupTopic{group: group}] = commits{refusal: refusal}
		}
	}
	d.tags()
	return all
}

func readTopicCommits(d *decoder) commits {
	found := commits{offsets: map[int32]int64{}}
	for range d.compactCount(20) {
		partition, offset := d.int32(), d.int64()
		d.skip(4)         // leader epoch
		d.compactString() // metadata
		if code := kafkago.Error(d.int16()); code != 0 {
			found.refusal = code
		}
		d.tags()
		found.offsets[partition] = offset
	}
	d.tags()
	return found
}
