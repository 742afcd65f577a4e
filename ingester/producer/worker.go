package producer

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/logpipeline/logpipeline/ingester/config"
	"github.com/logpipeline/logpipeline/ingester/kafka"
	"github.com/logpipeline/logpipeline/ingester/record"
)

// worker writes one partition. All of it belongs to its one goroutine.
type worker struct {
	*Producer
	partition int32
	topicID   string
	feed      feed
	reopened  []record.Reopened // to be settled first

	identity   identity
	assignment record.Assignment // of what was sent last
	assigned   bool              // of the parcel
	firstSent  time.Time         // likewise
	after      int64             // the offset after the last one known to be ours or older, -1: none is known
	doubt      *doubt
	away       bool      // the partition couldn't be written: look before taking more
	setbacks   int       // groups given up in a row
	owed       []section // that were not delivered, and come before anything else

	parcel  parcel
	produce kafka.ProduceRequest
	group   []section
}

// feed is where a worker gets what it is to deliver.
type feed interface {
	// take waits for sections and appends them to into. It returns io.EOF
	// once nothing more will come, or the context's error; with either it
	// returns nothing.
	take(ctx context.Context, into []section) ([]section, error)
	// drained is closed once nothing more will come.
	drained() <-chan struct{}
}

func newWorker(p *Producer, partition int32, topicID string) *worker {
	w := &worker{
		Producer: p, partition: partition, topicID: topicID, after: -1,
		produce: kafka.ProduceRequest{Topic: p.topic, Partition: partition},
		parcel:  parcel{keys: p.keys, key: make([]byte, 0, 64)},
	}
	if p.cfg.RequiredAcks == config.RequiredAcksOne {
		w.produce.Acks = kafka.AcksOne
	}
	w.identity = w.newcomer()
	return w
}

// newcomer is the identity of a worker that has sent nothing.
func (w *worker) newcomer() identity {
	if w.produce.Acks == kafka.AcksOne {
		return anonymous
	}
	return identity{}
}

// run settles what an earlier run left, then takes groups of sections and
// delivers them, until its feed or the context has ended. It returns with
// nothing in hand.
func (w *worker) run(ctx context.Context) {
	defer w.leave(ctx)
	w.withBuilder(func() { w.reopen(ctx) })
	for w.ready(ctx) {
		if err := w.next(ctx); err != nil {
			if !errors.Is(err, io.EOF) && ctx.Err() == nil {
				w.logger.Error("queue failed, no more is taken from it", "topic", w.topic, "partition", w.partition, "error", err)
			}
			if ctx.Err() == nil {
				w.sourceEnded()
			}
			return
		}
		w.withBuilder(func() { w.deliverGroup(ctx, w.group) })
		w.answered()
		clear(w.group)
	}
}

// withBuilder has the parcel filled by one of the builders that the workers
// share, and waits for one if all are in use.
func (w *worker) withBuilder(work func()) {
	w.parcel.builder = <-w.builders
	work()
	w.produce.Batch = nil // it was the builder's
	w.builders <- w.parcel.builder
	w.parcel.builder = nil
}

// leave decides what is still in doubt, and leaves what is owed.
func (w *worker) leave(ctx context.Context) {
	w.leaveOwed(ctx)
	if w.doubt != nil {
		w.decide(ctx, errStopped)
	}
}

// ready waits until the partition can be written, after it could not, and the
// worker has a producer id. It is false when there is no more to do.
func (w *worker) ready(ctx context.Context) bool {
	if w.setbacks > 0 && !w.pause(ctx, backoff(w.setbacks)) {
		return false
	}
	for attempt := 0; w.away || !w.identity.known; attempt++ {
		err := w.prepare(ctx)
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

// pause waits; it is false as soon as there is no more to do.
func (w *worker) pause(ctx context.Context, d time.Duration) bool {
	if len(w.owed) > 0 {
		return wait(ctx, d)
	}
	return pause(ctx, w.feed.drained(), d)
}

// prepare finds out what a worker needs to know before it takes a group. A
// doubt is looked for as soon as the partition can be read again.
func (w *worker) prepare(ctx context.Context) error {
	if err := w.checkLeader(ctx); err != nil {
		return err
	}
	if err := w.identify(ctx); err != nil {
		return err
	}
	if w.after < 0 && w.identity.idempotent() {
		_, end, err := w.client.Offsets(ctx, w.topic, w.partition)
		switch {
		case err == nil:
			w.after = end
		case unreadable(err):
			return err
		}
	}
	if w.doubt != nil {
		if _, err := w.look(ctx, -1); unreadable(err) {
			return err
		}
	}
	return nil
}

// checkLeader finds out whether the partition has a leader, if that is in
// question, and whether the topic is still the same.
func (w *worker) checkLeader(ctx context.Context) error {
	if !w.away {
		return nil
	}
	topic, err := w.client.Topic(ctx, w.topic)
	w.observeReachable(err)
	if err != nil {
		return err
	}
	if topic.ID != w.topicID {
		w.logger.Warn("topic was created anew", "topic", w.topic, "partition", w.partition, "id", topic.ID, "before", w.topicID)
		w.topicID, w.after = topic.ID, -1
		if w.doubt != nil {
			w.doubt.assignment.After = -1 // anywhere in the new log
		}
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
	w.observeReachable(err)
	if err != nil {
		return err
	}
	w.identity.renew(producer)
	return nil
}
