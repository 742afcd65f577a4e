// Package producer moves batches from the queue into Kafka: every record of
// every batch that it takes is delivered, or its batch is told that it wasn't,
// or that nobody knows.
//
// One worker per partition sends one record batch at a time. A worker that
// waits for a broker takes nothing from the queue, so a partition without a
// leader gets no records. The workers take turns at the queue: one collects
// until its record batch is full or has waited long enough, while the others
// send theirs; that fills record batches as a sticky partitioner does.
//
// Each worker writes under a producer id of its own, and keeps this: numbers
// (producer id, epoch, sequence) that were sent are used for other bytes only
// after a definite refusal of a batch that was never in doubt. A broker
// compares the numbers, never the bytes, so that reuse would acknowledge a
// batch and lose it. Hence a batch in doubt is only ever resent as it was, and
// giving it up raises the epoch.
package producer

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/time/rate"

	"github.com/logpipeline/logpipeline/ingester/config"
	"github.com/logpipeline/logpipeline/ingester/kafka"
	"github.com/logpipeline/logpipeline/ingester/record"
)

// Source is the queue. A request's records stay together: what Take yields is
// the producer's until it has completed it and released its bytes.
type Source interface {
	// Take blocks for a first batch and then waits up to maxDelay for more,
	// until a limit is reached; a batch that exceeds the limits comes alone.
	// The batches are appended to into. It returns io.EOF once the source is
	// closed and empty, or the context's error; with either it returns
	// nothing.
	Take(ctx context.Context, into []*record.Batch, maxRecords int, maxBytes int64, maxDelay time.Duration) ([]*record.Batch, error)
	// TakeOlder takes, without waiting, the batches from the front that were
	// received before t. It returns io.EOF with them once the source is closed
	// and empty.
	TakeOlder(t time.Time, into []*record.Batch) ([]*record.Batch, error)
	// Release gives back the bytes that a batch reserved.
	Release(bytes int64)
}

// Client sends requests to Kafka; *kafka.Client is one.
type Client interface {
	Topic(ctx context.Context, name string) (kafka.Topic, error)
	InitProducerID(ctx context.Context) (kafka.ProducerID, error)
	Produce(ctx context.Context, request *kafka.ProduceRequest) (baseOffset int64, err error)
}

const (
	// refreshInterval is how often new partitions are looked for.
	refreshInterval = 30 * time.Second
	// logInterval is how often a trouble that lasts is logged.
	logInterval = 10 * time.Second
)

// Producer is made by New and works while Run does.
type Producer struct {
	topic   string
	limits  limits
	client  Client
	source  Source
	logger  *slog.Logger
	metrics *metrics
	trouble rate.Sometimes // logs of what is retried
	turn    chan struct{}  // held by the worker that collects
	drained chan struct{}  // closed when the source has ended
	drain   sync.Once
}

// limits are the configuration in the units of the code.
type limits struct {
	records         int
	bytes           int
	delay           time.Duration
	deliveryTimeout time.Duration
}

// New returns a producer that will write to topic, or an error when a limit of
// cfg can't be kept. The metrics are registered with reg.
func New(cfg config.Producer, topic string, client Client, source Source, logger *slog.Logger, reg prometheus.Registerer) (*Producer, error) {
	l := limits{
		records:         cfg.BatchRecords,
		bytes:           int(cfg.BatchBytes),
		delay:           time.Duration(cfg.BatchMaxDelayMilliseconds) * time.Millisecond,
		deliveryTimeout: time.Duration(cfg.DeliveryTimeoutSeconds) * time.Second,
	}
	switch {
	case topic == "":
		return nil, fmt.Errorf("topic is empty: name the topic to write to")
	case l.records < 1:
		return nil, fmt.Errorf("producer.batchRecords is %d: set it to at least 1", cfg.BatchRecords)
	case l.bytes < 1:
		return nil, fmt.Errorf("producer.batchBytes is %d: set it to at least 1", cfg.BatchBytes)
	case l.delay < 0:
		return nil, fmt.Errorf("producer.batchMaxDelayMilliseconds is %d: set it to at least 0", cfg.BatchMaxDelayMilliseconds)
	case l.deliveryTimeout <= 0:
		return nil, fmt.Errorf("producer.deliveryTimeoutSeconds is %d: set it to at least 1", cfg.DeliveryTimeoutSeconds)
	}
	return &Producer{
		topic: topic, limits: l, client: client, source: source, logger: logger,
		metrics: newMetrics(reg),
		trouble: rate.Sometimes{First: 1, Interval: logInterval},
		turn:    make(chan struct{}, 1),
		drained: make(chan struct{}),
	}, nil
}

// Run delivers until the source has ended and all that was taken is completed;
// then it returns nil. A topic that doesn't exist yet, or a Kafka that can't be
// reached, is waited for, and nothing is taken meanwhile; nor is the end of the
// source noticed then.
//
// The end of ctx is the hard deadline: what is in hand is completed as not
// delivered, or as unknown if it may have reached a broker, and Run returns the
// context's error. What is still in the source stays there. In both cases every
// goroutine has ended. Run is called once.
func (p *Producer) Run(ctx context.Context) error {
	var workers sync.WaitGroup
	workers.Go(func() { p.expire(ctx) })
	running := map[int32]bool{}
	for attempt := 0; ; {
		pause := refreshInterval
		topic, err := p.client.Topic(ctx, p.topic)
		p.metrics.observeReachable(err)
		if err != nil {
			pause = backoff(attempt)
			attempt++
			p.troubled(ctx, "topic can't be described, retrying", err)
		} else {
			attempt = 0
			p.startWorkers(ctx, topic, running, &workers)
		}
		if !p.pause(ctx, pause) {
			break
		}
	}
	workers.Wait()
	if ctx.Err() == nil {
		return nil
	}
	return fmt.Errorf("stop the producer with %d records in the queue: %w", p.abandon(), ctx.Err())
}

// startWorkers gives a worker to every partition that has none yet.
func (p *Producer) startWorkers(ctx context.Context, topic kafka.Topic, running map[int32]bool, workers *sync.WaitGroup) {
	for _, partition := range topic.Partitions {
		if running[partition.ID] {
			continue
		}
		running[partition.ID] = true
		w := newWorker(p, partition.ID)
		workers.Go(func() { w.run(ctx) })
	}
}

// pause waits; it is false as soon as the context or the source has ended.
func (p *Producer) pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-p.drained:
		return false
	case <-ctx.Done():
		return false
	}
}

// collect waits for the worker's turn and takes a group of batches. They are
// appended to into.
func (p *Producer) collect(ctx context.Context, into []*record.Batch) ([]*record.Batch, error) {
	select {
	case p.turn <- struct{}{}:
	case <-ctx.Done():
		return into, ctx.Err()
	}
	defer func() { <-p.turn }()
	return p.source.Take(ctx, into, p.limits.records, int64(p.limits.bytes), p.limits.delay)
}

// complete tells a batch what became of it and gives its bytes back.
func (p *Producer) complete(b *record.Batch, o record.Outcome) {
	reserved := b.Reserved
	b.Complete(o)
	p.source.Release(reserved)
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
