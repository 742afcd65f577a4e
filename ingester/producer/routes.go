package producer

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"

	"github.com/logpipeline/logpipeline/ingester/kafka"
	"github.com/logpipeline/logpipeline/ingester/record"
)

// routes lead the records of requests to the lanes of their partitions, where a
// key chooses them. One goroutine does that in the order of the queue, so that
// the records of a key keep theirs.
type routes struct {
	*Producer
	next int // the lane that comes first where none is shorter

	mu     sync.Mutex
	lanes  []*lane // by partition; only grows
	closed bool
}

// lane adds the lane of the next partition. Kafka numbers them from 0 on.
func (r *routes) lane(partition int32) *lane {
	l := newLane(partition, r.limits)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lanes = append(r.lanes, l)
	if r.closed {
		l.close()
	}
	return l
}

// close closes every lane, and those that are added later.
func (r *routes) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
	for _, l := range r.lanes {
		l.close()
	}
}

// all are the lanes that there are now.
func (r *routes) all() []*lane {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.lanes
}

// run routes until the source or the context has ended, and closes the lanes.
func (r *routes) run(ctx context.Context) {
	var group []*record.Batch
	for {
		var err error
		group, err = r.source.Take(ctx, group[:0], r.limits.records, int64(r.limits.bytes), 0, nil)
		if err != nil {
			if !errors.Is(err, io.EOF) && ctx.Err() == nil {
				r.logger.Error("queue failed, no more is taken from it", "topic", r.topic, "error", err)
			}
			break
		}
		for _, b := range group {
			r.route(ctx, b)
		}
		clear(group)
	}
	if ctx.Err() == nil {
		r.sourceEnded()
	}
	r.close()
}

// route puts the records of a batch into their lanes. Those without a key stay
// together, in a lane that is short.
func (r *routes) route(ctx context.Context, b *record.Batch) {
	if b.Len() == 0 {
		r.complete(ctx, newRequest(b, nil))
		return
	}
	lanes := r.all()
	partitions, ends := r.partitions(b, lanes)
	bytes := make([]int64, len(lanes))
	order := make([]int32, b.Len())
	from := append([]int32{0}, ends[:len(ends)-1]...)
	next := append([]int32{}, from...)
	for i, p := range partitions {
		order[next[p]] = int32(i)
		next[p]++
		bytes[p] += int64(len(b.Record(i)))
	}
	request := newRequest(b, order)
	for p, l := range lanes {
		if from[p] < ends[p] {
			l.put(section{request, int(from[p]), int(ends[p])}, bytes[p])
		}
	}
}

// partitions says for each record to which partition it goes, and for each
// partition how many records go to it and to those before it.
func (r *routes) partitions(b *record.Batch, lanes []*lane) (partitions, ends []int32) {
	partitions, ends = make([]int32, b.Len()), make([]int32, len(lanes))
	sticky := int32(-1)
	buffer := make([]byte, 0, 64)
	for i := range partitions {
		key, found := r.keys(buffer[:0], b.Record(i))
		switch {
		case found:
			partitions[i] = kafka.PartitionOf(key, len(lanes))
		case sticky < 0:
			sticky = r.shortest(lanes)
			fallthrough
		default:
			partitions[i] = sticky
		}
		buffer = key
		ends[partitions[i]]++
	}
	for p := 1; p < len(ends); p++ {
		ends[p] += ends[p-1]
	}
	return partitions, ends
}

// shortest is the lane in which the least waits; they take turns.
func (r *routes) shortest(lanes []*lane) int32 {
	r.next = (r.next + 1) % len(lanes)
	best, least := r.next, lanes[r.next].load()
	for i := range lanes {
		if p := (r.next + i) % len(lanes); lanes[p].load() < least {
			best, least = p, lanes[p].load()
		}
	}
	return int32(best)
}

// giveBack settles what waits in the lanes and was received before t, and
// returns how many records that were.
func (r *routes) giveBack(ctx context.Context, t time.Time, reason error) (records int) {
	for _, l := range r.all() {
		records += r.giveBackSections(ctx, l.partition, l.older(t), reason)
	}
	return records
}
