package lag

import (
	"context"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"
)

const (
	listOffsetsVersion = 5
	latestOffset       = -1
	earliestOffset     = -2
	readCommitted      = 1
)

// place is a partition of a topic.
type place struct {
	topic     string
	partition int32
}

// offset is a broker's answer about one partition.
type offset struct {
	value   int64
	refusal kafkago.Error
}

// listOffsets asks a broker for the first offset that the log of each
// partition which it leads still has, or for the one after the last that a
// reader of committed records may see (the last stable offset): all partitions
// in one request, each once.
func (c *Cluster) listOffsets(ctx context.Context, broker int32, which int64, wanted []place) (map[place]offset, error) {
	b := appendInt32(c.request(protocol.ListOffsets, listOffsetsVersion, false), -1) // no replica
	b = append(b, readCommitted)
	b = appendByTopic(b, wanted, func(b []byte, p place) []byte {
		b = appendInt32(b, p.partition)
		b = appendInt32(b, -1) // leader epoch: any
		return appendInt64(b, which)
	})
	return ask(ctx, c, exchange[map[place]offset]{broker: broker, key: protocol.ListOffsets, head: b, read: readOffsets})
}

// appendByTopic writes an array of topics, each with its name and an array of
// its partitions. The places of a topic stand together.
func appendByTopic(b []byte, places []place, write func([]byte, place) []byte) []byte {
	runs := byTopic(places)
	b = appendInt32(b, int32(len(runs)))
	for _, run := range runs {
		b = appendString(b, run[0].topic)
		b = appendInt32(b, int32(len(run)))
		for _, p := range run {
			b = write(b, p)
		}
	}
	return b
}

// byTopic cuts sorted places where another topic begins.
func byTopic(places []place) [][]place {
	var runs [][]place
	for begin, i := 0, 0; i < len(places); i++ {
		if i+1 == len(places) || places[i+1].topic != places[begin].topic {
			runs = append(runs, places[begin:i+1])
			begin = i + 1
		}
	}
	return runs
}

// readOffsets reads a ListOffsets response v5.
func readOffsets(d *decoder) map[place]offset {
	d.skip(4) // throttle time
	found := map[place]offset{}
	for range d.count(6) {
		name := d.string()
		for range d.count(26) {
			p := place{name, d.int32()}
			o := offset{refusal: kafkago.Error(d.int16())}
			d.skip(8) // timestamp
			o.value = d.int64()
			d.skip(4) // leader epoch
			found[p] = o
		}
	}
	return found
}
