package consumer

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/logpipeline/logpipeline/ingester/config"
	"github.com/logpipeline/logpipeline/ingester/consumer/group"
	"github.com/logpipeline/logpipeline/ingester/kafka"
	"github.com/logpipeline/logpipeline/ingester/record"
)

// worker stores one partition for one generation.
type worker struct {
	*Consumer
	partition  int32
	generation *group.Generation
	running    context.Context //nolint:containedctx // Run's, whose end tells a shutdown from a rebalance
	logger     *slog.Logger
	keep       config.Retention // of this partition

	topicID   string
	chain     Chain
	end       int64 // of what is sealed, as this worker knows it
	epoch     int32 // of the leader that wrote the last records appended, -1 when unknown
	request   kafka.FetchRequest
	reader    kafka.BatchReader
	share     share
	behind    bool // there was more in the log than the last fetch brought
	confirmed bool // the topic has been confirmed since the last failed fetch
	suspect   suspect
	retaining time.Time // when to look at the retention without a seal
	kafka     trouble
	decoding  trouble
	storage   trouble
}

func newWorker(running context.Context, c *Consumer, partition int32, generation *group.Generation) *worker {
	logger := c.logger.With("partition", partition)
	w := &worker{
		Consumer: c, partition: partition, generation: generation, running: running, logger: logger,
		request: kafka.FetchRequest{
			Topic: c.config.Topic, Partition: partition, LeaderEpoch: -1,
			MaxBytes: int(c.config.Consumer.FetchMaxBytes), MinBytes: 1,
		},
		keep: c.config.Retention.PerPartition(c.partitions), retaining: time.Now().Add(rand.N(retainInterval)),
		share:   share{memory: c.memory},
		kafka:   trouble{logger: logger, gauge: c.metrics.troubled.WithLabelValues("kafka")},
		storage: trouble{logger: logger, gauge: c.metrics.troubled.WithLabelValues("storage")}, decoding: trouble{logger: logger},
	}
	w.request.Room = w.share.room
	return w
}

// run stores until ctx ends, which is the generation's end. A worker that
// stops stays, so that what has stopped is seen.
func (w *worker) run(ctx context.Context) {
	defer w.kafka.leave()
	defer w.storage.leave()
	w.metrics.active.Inc()
	for ctx.Err() == nil {
		err := w.store(ctx)
		w.tellBusy(false)
		if reason, stops := record.StopReason(err); stops {
			w.metrics.active.Dec()
			w.standStill(ctx, reason, err)
			return
		}
		if err != nil && ctx.Err() == nil {
			w.tellFailure(err)
			w.storage.waitAfter(ctx, "partition cannot be stored", err)
		} else if err != nil && !errors.Is(err, ctx.Err()) {
			w.logger.Warn("segment given up; its records will be fetched again", "error", err)
		}
	}
	w.metrics.active.Dec()
}

// stoppedInterval is how often a partition that has stopped looks how far its
// log has gone on.
const stoppedInterval = 30 * time.Second

func (w *worker) standStill(ctx context.Context, reason string, err error) {
	w.logger.Error("partition stopped", "reason", reason, "offset", w.end, "error", err)
	w.metrics.stops.WithLabelValues(reason).Inc()
	w.metrics.stopped.WithLabelValues(reason).Inc()
	defer w.metrics.stopped.WithLabelValues(reason).Dec()
	w.tellStopped(reason, err)
	ticker := time.NewTicker(stoppedInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		if _, end, err := w.client.Offsets(ctx, w.config.Topic, w.partition); err == nil && w.chain != nil {
			w.tellLag(end - w.end)
		}
	}
}

// store opens the chain and stores until ctx ends (nil), the partition has to
// stop (a stopError), or the chain has to be opened anew.
func (w *worker) store(ctx context.Context) error {
	if err := w.openChain(ctx); err != nil {
		return err
	}
	err := w.storeUntil(ctx)
	switch reason, _ := record.StopReason(err); {
	case err == nil && w.generation.Lost():
		// Others have the partition by now: what is not sealed is theirs to store.
	case err == nil:
		err = w.sealLast(ctx, w.leaving())
	case reason != "" && reason != stopTopicRecreated:
		err = errors.Join(err, w.sealLast(ctx, sealStop))
	}
	w.tellGivenUp()
	return errors.Join(err, w.chain.Close())
}

// leaving is why the generation has ended.
func (w *worker) leaving() string {
	if w.running.Err() != nil {
		return sealShutdown
	}
	return sealRebalance
}

func (w *worker) openChain(ctx context.Context) error {
	topic, err := w.client.Topic(ctx, w.config.Topic)
	if err != nil {
		return err
	}
	w.topicID, w.confirmed = topic.ID, true
	var unknown error // of Kafka's, and not the store's
	w.chain, err = w.open(ctx, w.config.Topic, topic.ID, w.partition, func(ctx context.Context) (start int64, err error) {
		start, _, unknown = w.client.Offsets(ctx, w.config.Topic, w.partition)
		return start, unknown
	})
	if err != nil && unknown != nil {
		return err
	}
	if err != nil {
		return &storeError{err, true}
	}
	w.tellOpened()
	w.epoch = w.chain.LeaderEpoch()
	w.logger.Info("chain opened", "offset", w.chain.NextOffset(), "epoch", w.epoch)
	w.tellTopic(topic.ID)
	w.sealedUpTo(ctx, w.chain.NextOffset())
	return nil
}

// storeUntil returns nil when ctx ends.
func (w *worker) storeUntil(ctx context.Context) error {
	for ctx.Err() == nil {
		if err := w.storeNext(ctx); err != nil {
			return err
		}
		if _, err := w.sealIfDue(ctx, record.Span{}); err != nil {
			return err
		}
		w.retainIfDue(ctx)
	}
	return nil
}

// storeNext stores what one fetch brings, if it brings anything.
func (w *worker) storeNext(ctx context.Context) error {
	defer w.release()
	response, err := w.fetch(ctx)
	if response == nil {
		return w.goOnBehind(ctx, err)
	}
	defer func() { response.Records = nil }()
	w.tellFetched(response.FirstTimestamp())
	return w.append(ctx, response)
}

// release keeps nothing of what was fetched.
func (w *worker) release() {
	w.reader.Reset(nil, 0, nil)
	w.share.release()
}
