package producer

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/logpipeline/logpipeline/ingester/kafka"
	"github.com/logpipeline/logpipeline/ingester/record"
)

// worker writes one partition. All of it belongs to its one goroutine.
type worker struct {
	*Producer
	partition int32
	identity  identity
	away      bool // the partition couldn't be written: look before taking more
	builder   kafka.BatchBuilder
	produce   kafka.ProduceRequest
	group     []*record.Batch
	sections  []section
}

func newWorker(p *Producer, partition int32) *worker {
	return &worker{
		Producer: p, partition: partition,
		produce: kafka.ProduceRequest{Topic: p.topic, Partition: partition},
	}
}

// run takes groups of batches and delivers them, until the source or the
// context has ended. It returns with nothing in hand.
func (w *worker) run(ctx context.Context) {
	for w.ready(ctx) {
		group, err := w.collect(ctx, w.group[:0])
		w.group = group
		if err != nil {
			if !errors.Is(err, io.EOF) && ctx.Err() == nil {
				w.logger.Error("queue failed, no more is taken from it", "topic", w.topic, "partition", w.partition, "error", err)
			}
			if ctx.Err() == nil {
				w.sourceEnded()
			}
			return
		}
		w.deliverGroup(ctx, group)
		clear(w.group)
	}
}

// ready waits until the partition has a leader, after it had none, and the
// worker a producer id. It is false when there is no more to do.
func (w *worker) ready(ctx context.Context) bool {
	for attempt := 0; w.away || !w.identity.known; attempt++ {
		err := w.look(ctx)
		if err == nil {
			err = w.identify(ctx)
		}
		if err == nil {
			w.away = false
			break
		}
		w.troubled(ctx, "partition can't be written, retrying", err, "partition", w.partition)
		if !w.pause(ctx, backoff(attempt)) {
			return false
		}
	}
	return ctx.Err() == nil
}

// look finds out whether the partition has a leader, if that is in question.
func (w *worker) look(ctx context.Context) error {
	if !w.away {
		return nil
	}
	topic, err := w.client.Topic(ctx, w.topic)
	w.metrics.observeReachable(err)
	if err != nil {
		return err
	}
	for _, p := range topic.Partitions {
		if p.ID == w.partition && p.Leader >= 0 {
			return nil
		}
	}
	return kafka.LeaderNotAvailable
}

// identify gets a producer id, if there is none.
func (w *worker) identify(ctx context.Context) error {
	if w.identity.known {
		return nil
	}
	producer, err := w.client.InitProducerID(ctx)
	w.metrics.observeReachable(err)
	if err != nil {
		return err
	}
	w.identity.renew(producer)
	return nil
}

// deliverGroup sends the records of the batches in as few Kafka record batches
// as the limits allow, and completes every batch.
func (w *worker) deliverGroup(ctx context.Context, group []*record.Batch) {
	w.sections = w.sections[:0]
	records, bytes := 0, kafka.BatchOverhead
	for _, b := range group {
		r := &request{id: b.ID, batch: b}
		if b.Len() == 0 {
			w.complete(b, record.Outcome{})
			continue
		}
		for from := 0; r.err == nil && from < b.Len(); { // a batch that failed is completed already
			to := from
			for ; to < b.Len() && records < w.limits.records; to++ {
				size := len(b.Record(to)) + kafka.MaxRecordOverhead
				if records > 0 && bytes+size > w.limits.bytes {
					break
				}
				records++
				bytes += size
			}
			if to > from {
				w.sections = append(w.sections, section{r, from, to})
				from = to
			}
			if from < b.Len() { // the Kafka record batch is full
				w.send(ctx, w.sections)
				w.sections, records, bytes = w.sections[:0], 0, kafka.BatchOverhead
			}
		}
	}
	if len(w.sections) > 0 {
		w.send(ctx, w.sections)
	}
	clear(w.sections[:cap(w.sections)])
}

// send delivers the sections' records in one record batch and settles them.
// One that is too large is halved until what is too large stands alone, so that
// one request's giant fails no other's records.
func (w *worker) send(ctx context.Context, sections []section) {
	n := w.encode(sections)
	if n == 0 {
		return
	}
	offset, err := w.deliver(ctx)
	if errors.Is(err, record.ErrTooLarge) && n > 1 {
		first, second := halve(sections)
		w.send(ctx, first)
		w.send(ctx, second)
		return
	}
	if err == nil {
		w.metrics.acknowledged(n, w.builder.Size())
	} else if !errors.Is(err, record.ErrTooLarge) { // which is the client's to mend
		w.logger.Error("records given up", "topic", w.topic, "partition", w.partition, "records", n, "firstBatch", sections[0].request.id, "error", err)
	}
	for _, s := range sections {
		if s.request.settled() {
			continue
		}
		if err == nil {
			s.request.place(w.topic, w.partition, offset, s.len())
			offset += int64(s.len())
		} else {
			w.metrics.failed(s.request.batch.Len()-s.request.delivered, err)
			s.request.err = fmt.Errorf("partition %d of topic %q: %w", w.partition, w.topic, err)
		}
		if s.request.settled() {
			w.complete(s.request.batch, record.Outcome{Placements: s.request.placements, Err: s.request.err})
		}
	}
}

// encode puts the records into the builder and returns how many there are.
// Those of a request that has failed meanwhile are left out.
func (w *worker) encode(sections []section) int {
	w.builder.Reset()
	for _, s := range sections {
		if s.request.settled() {
			continue
		}
		timestamp := timestampOf(s.request.batch)
		for i := s.from; i < s.to; i++ {
			w.builder.Append(timestamp, s.request.batch.Record(i))
		}
	}
	return w.builder.Len()
}

// timestampOf is the Kafka timestamp of a batch's records, in milliseconds.
func timestampOf(b *record.Batch) int64 {
	return b.Received.UnixMilli()
}
