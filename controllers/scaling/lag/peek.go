package lag

import (
	"context"
	"encoding/binary"
	"slices"
	"time"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"
)

const (
	fetchVersion = 11
	// A record batch comes whole or not at all: a partition is asked for
	// peekLeast bytes first, and for peekGrowth times as many the next time
	// when its batch did not fit; one Fetch for no more than peekMost, unless
	// one batch alone is larger.
	peekLeast  = 64 << 10
	peekGrowth = 4
	peekMost   = 8 << 20
)

// peek is where to look for the next record of a partition.
type peek struct {
	place
	from  int64
	bytes int32
}

// seen is what a partition's log has from an offset on.
type seen struct {
	refusal kafkago.Error
	from    int64
	// records is where they begin: the offsets before it hold none, but control
	// batches and aborted transactions.
	records int64
	// until is the end of the first batch that holds records, and oldest its
	// ingest time. Without such a batch until is records.
	until  int64
	oldest time.Time
}

// fetchNext asks a broker for the beginning of what follows an offset, in many
// partitions, each once, at once.
func (c *Cluster) fetchNext(ctx context.Context, broker int32, wanted []peek) (map[place]seen, error) {
	places, from := make([]place, len(wanted)), make(map[place]peek, len(wanted))
	for i, w := range wanted {
		places[i], from[w.place] = w.place, w
	}
	b := appendInt32(c.request(protocol.Fetch, fetchVersion, false), -1) // no replica
	b = appendInt32(b, 0)                                                // answer at once,
	b = appendInt32(b, 0)                                                // with whatever there is,
	b = appendInt32(b, peekMost)
	b = append(b, readCommitted)
	b = appendInt32(b, 0)  // no fetch session,
	b = appendInt32(b, -1) // and none wanted
	b = appendByTopic(b, places, func(b []byte, p place) []byte {
		b = appendInt32(b, p.partition)
		b = appendInt32(b, -1) // leader epoch: any
		b = appendInt64(b, from[p].from)
		b = appendInt64(b, -1) // a follower's log start
		return appendInt32(b, from[p].bytes)
	})
	b = appendInt32(b, 0)   // forgotten topics
	b = appendString(b, "") // rack
	return ask(ctx, c, exchange[map[place]seen]{broker: broker, key: protocol.Fetch, head: b, read: func(d *decoder) map[place]seen {
		return readSeen(d, from)
	}})
}

// readSeen reads a Fetch response v11.
func readSeen(d *decoder, from map[place]peek) map[place]seen {
	d.skip(4) // throttle time
	refusal := kafkago.Error(d.int16())
	d.skip(4) // session
	found := map[place]seen{}
	for range d.count(6) {
		name := d.string()
		for range d.count(42) {
			p := place{name, d.int32()}
			s := seen{refusal: kafkago.Error(d.int16()), from: from[p].from, records: from[p].from}
			d.skip(24) // high watermark, last stable offset, log start
			aborted := readAborted(d)
			d.skip(4) // preferred replica
			s.walk(d, int64(d.int32()), aborted)
			found[p] = s
		}
	}
	if refusal != 0 {
		for p := range from {
			found[p] = seen{refusal: refusal}
		}
	}
	return found
}

// abortedTransaction begins at an offset and ends with the next control batch
// of its producer.
type abortedTransaction struct{ producer, first int64 }

func readAborted(d *decoder) []abortedTransaction {
	var aborted []abortedTransaction
	for range d.count(16) {
		aborted = append(aborted, abortedTransaction{d.int64(), d.int64()})
	}
	return aborted
}

// A record batch of format v2 begins with a header, whose fields are given by
// where they are: https://kafka.apache.org/documentation/#recordbatch.
const (
	batchHeader  = 61
	beforeLength = 12 // of a batch's bytes, those that its length does not count
)

// walk reads the headers of n bytes of record batches, up to the first that
// holds records.
func (s *seen) walk(d *decoder, n int64, aborted []abortedTransaction) {
	s.until = s.records
	for n >= batchHeader && d.err == nil && s.oldest.IsZero() {
		b := readBatch(d)
		n -= batchHeader
		if b.rest < 0 || b.rest > n {
			break // incomplete
		}
		d.skip(b.rest)
		n -= b.rest
		var empty bool
		if empty, aborted = b.empty(aborted); b.next <= s.from {
			continue
		}
		s.until = b.next
		if empty {
			s.records = b.next
			continue
		}
		s.records = max(s.from, b.base)
		s.oldest = b.time
	}
	d.skip(max(0, n))
}

type batch struct {
	base, next    int64
	rest          int64 // bytes after the header
	producer      int64
	count         int32
	control       bool
	transactional bool
	time          time.Time // when its first record was taken, or the batch was appended
}

func readBatch(d *decoder) batch {
	var header [batchHeader]byte
	h, be := d.fill(header[:]), binary.BigEndian
	attributes := be.Uint16(h[21:])
	b := batch{
		base:          int64(be.Uint64(h)),
		rest:          int64(int32(be.Uint32(h[8:]))) - (batchHeader - beforeLength),
		producer:      int64(be.Uint64(h[43:])),
		count:         int32(be.Uint32(h[57:])),
		transactional: attributes&0x10 != 0,
		control:       attributes&0x20 != 0,
		time:          time.UnixMilli(int64(be.Uint64(h[27:]))),
	}
	b.next = b.base + int64(int32(be.Uint32(h[23:]))) + 1
	if logAppendTime := attributes&0x08 != 0; logAppendTime {
		b.time = time.UnixMilli(int64(be.Uint64(h[35:])))
	}
	return b
}

// empty tells whether a reader of committed records sees nothing of the batch,
// and which aborted transactions are left after it.
func (b batch) empty(aborted []abortedTransaction) (bool, []abortedTransaction) {
	i := slices.IndexFunc(aborted, func(t abortedTransaction) bool { return t.producer == b.producer && t.first <= b.base })
	switch {
	case b.control && i >= 0:
		return true, slices.Delete(slices.Clone(aborted), i, i+1)
	case b.control || b.count == 0:
		return true, aborted
	default:
		return b.transactional && i >= 0, aborted
	}
}
