// Package producer moves batches from the queue into Kafka: every record of
// every batch that it takes is delivered, or its batch is told that it wasn't,
// or that nobody knows. What nobody can be told any more is dead-lettered.
//
// One worker per partition sends one record batch at a time. A worker that
// waits for a broker takes nothing from the queue, so a partition without a
// leader gets no records. The workers take turns at the queue: one collects
// until its record batch is full or has waited long enough, while the others
// send theirs; that fills record batches as a sticky partitioner does. Where a
// key chooses the partition, one goroutine leads the records from the queue to
// a lane for each worker instead.
//
// Each worker writes under a producer id of its own, and keeps this: numbers
// (producer id, epoch, sequence) that were sent are used for other bytes only
// after a definite refusal of a batch that was never in doubt. A broker
// compares the numbers, never the bytes, so that reuse would acknowledge a
// batch and lose it. Hence a batch in doubt is only ever resent as it was, and
// giving it up raises the epoch. What then became of it, the log tells: see
// doubt.
//
// The delivery timeout is for those who wait, and for what is in memory alone.
// Records that the spool has and nobody waits for are sent until Kafka takes
// them: the spool's bound is theirs, and it refuses what is new when it is full.
// Only what the topic refuses, or nobody can know of, is dead-lettered of them;
// what the end of the process stops, the next one finds in the spool.
package producer

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"github.com/logpipeline/logpipeline/ingester/config"
	"github.com/logpipeline/logpipeline/ingester/kafka"
	"github.com/logpipeline/logpipeline/ingester/record"
)

// Source is the queue. What Take yields is the producer's until it has
// completed and freed it.
type Source interface {
	// Take blocks for a first batch and then waits up to maxDelay for more,
	// until a limit is reached or lull yields a value; a batch that exceeds the
	// limits comes alone.
	// The batches are appended to into. It returns io.EOF once the source is
	// closed and empty, or the context's error; with either it returns
	// nothing.
	Take(ctx context.Context, into []*record.Batch, maxRecords int, maxBytes int64, maxDelay time.Duration, lull <-chan struct{}) ([]*record.Batch, error)
	// TakeOlder takes, without waiting, the batches from the front that were
	// received before t. It returns io.EOF with them once the source is closed
	// and empty.
	TakeOlder(t time.Time, into []*record.Batch) ([]*record.Batch, error)
}

// Client sends requests to Kafka; *kafka.Client is one.
type Client interface {
	Topic(ctx context.Context, name string) (kafka.Topic, error)
	InitProducerID(ctx context.Context) (kafka.ProducerID, error)
	Produce(ctx context.Context, request *kafka.ProduceRequest) (baseOffset int64, err error)
	Log
}

// Log is what is asked when a record batch is in doubt.
type Log interface {
	Offsets(ctx context.Context, topic string, partition int32) (start, end int64, err error)
	FindBatch(ctx context.Context, topic string, partition int32, from, to int64, producer kafka.ProducerID, sequence int32) (offset int64, found bool, err error)
}

const (
	// refreshInterval is how often new partitions are looked for.
	refreshInterval = 30 * time.Second
	// logInterval is how often a trouble that lasts is logged.
	logInterval = 10 * time.Second
)

// Producer is made by New and works while Run does.
type Producer struct {
	topic       string
	cfg         config.Producer
	limits      limits
	keys        record.Key
	client      Client
	source      Source
	deadLetters DeadLetters
	journal     Journal
	reopened    map[int32][]record.Reopened // by partition
	logger      *slog.Logger
	metrics     *metrics
	trouble     rate.Sometimes           // logs of what is retried
	burials     rate.Sometimes           // logs of dead letters
	turn        chan struct{}            // held by the worker that collects
	lull        chan struct{}            // a token: nothing is on its way, or something has been answered since the last collection
	builders    chan *kafka.BatchBuilder // those that no worker uses
	routes      *routes
	unreachable atomic.Bool
	progress    progress
	drained     chan struct{} // closed when the source has ended
	drain       sync.Once
	searching   extension // of the hard deadline, for searches
	burying     extension // likewise, for dead letters
}

// Run delivers until the source has ended and all that was taken is completed;
// then it returns nil. A topic that doesn't exist yet, or a Kafka that can't be
// reached, is waited for, and nothing is taken meanwhile; nor is the end of the
// source noticed then.
//
// The end of ctx is the hard deadline: what is in hand, in the source or left
// of an earlier run is completed as not delivered, or as unknown if it may have
// reached a broker, within 8 s more, and Run returns the context's error. In
// both cases every goroutine has ended. Run is called once.
func (p *Producer) Run(ctx context.Context) error {
	expiring, expired := context.WithCancel(ctx)
	var expirer, workers sync.WaitGroup
	expirer.Go(func() { p.expire(expiring) })
	p.startAll(ctx, &workers)
	workers.Wait()
	expired()
	expirer.Wait()
	p.leaveReopened(ctx)
	if ctx.Err() == nil {
		return nil
	}
	return fmt.Errorf("stop the producer with %d records in the queue: %w", p.abandon(ctx), ctx.Err())
}

// startAll gives a worker to every partition, and to those that come later,
// until the source or the context has ended.
func (p *Producer) startAll(ctx context.Context, workers *sync.WaitGroup) {
	started := 0
	for attempt := 0; ; {
		delay := refreshInterval
		topic, err := p.client.Topic(ctx, p.topic)
		p.observeReachable(err)
		if err != nil {
			delay = backoff(attempt)
			attempt++
			p.troubled(ctx, "topic can't be described, retrying", err)
		} else {
			attempt = 0
			p.startWorkers(ctx, topic, &started, workers)
		}
		if !pause(ctx, p.drained, delay) {
			return
		}
	}
}

// startWorkers starts those of new partitions, which Kafka numbers from 0 on.
func (p *Producer) startWorkers(ctx context.Context, topic kafka.Topic, started *int, workers *sync.WaitGroup) {
	first := *started == 0
	for ; *started < len(topic.Partitions); *started++ {
		partition := int32(*started)
		w := newWorker(p, partition, topic.ID)
		w.reopened = p.reopened[partition]
		delete(p.reopened, partition)
		if p.keys != nil {
			w.feed = p.routes.lane(partition)
		} else {
			w.feed = &turns{Producer: p}
		}
		workers.Go(func() { w.run(ctx) })
	}
	if first && *started > 0 && p.keys != nil {
		workers.Go(func() { p.routes.run(ctx) })
	}
}

// leaveReopened leaves to the spool what no worker could take.
func (p *Producer) leaveReopened(ctx context.Context) {
	for partition, left := range p.reopened {
		for _, r := range left {
			p.giveBackAt(ctx, partition, r.Batches, errStopped)
		}
	}
}

// Unreachable says that no broker answered the last request.
func (p *Producer) Unreachable() bool { return p.unreachable.Load() }

// observeReachable notes whether a broker answered.
func (p *Producer) observeReachable(err error) {
	away := errors.Is(err, kafka.ErrUnreachable)
	p.unreachable.Store(away)
	p.metrics.reachable.Set(map[bool]float64{false: 1}[away])
}

// observeAttempt notes how an attempt to send a record batch went.
func (p *Producer) observeAttempt(began time.Time, err error) {
	p.observeReachable(err)
	if err != nil {
		p.progress.failed.Add(1)
		return
	}
	p.metrics.duration.Observe(time.Since(began).Seconds())
}

// troubled logs what is being retried, at a bounded rate.
func (p *Producer) troubled(ctx context.Context, message string, err error, attributes ...any) {
	if ctx.Err() != nil {
		return
	}
	p.trouble.Do(func() {
		p.logger.Warn(message, append(attributes, "topic", p.topic, "error", err)...)
	})
}
