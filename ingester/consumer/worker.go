package consumer

import (
	"context"
	"errors"
	"log/slog"
	"strconv"

	"github.com/logpipeline/logpipeline/ingester/config"
	"github.com/logpipeline/logpipeline/ingester/kafka"
	"github.com/logpipeline/logpipeline/ingester/record"
)

// worker stores one partition for one generation.
type worker struct {
	*Consumer
	partition int32
	commit    func(offset int64) error
	// leaving is why the generation has ended: rebalance or shutdown.
	leaving func() string
	logger  *slog.Logger
	keep    config.Retention // of this partition

	topicID   string
	chain     Chain
	end       int64 // of what is sealed, as this worker knows it
	epoch     int32 // of the leader that wrote the last records appended, -1 when unknown
	request   kafka.FetchRequest
	reader    kafka.BatchReader
	share     share
	behind    bool // there was more in the log than the last fetch brought
	confirmed bool // the topic has been confirmed since the last failed fetch
	kafka     trouble
	storage   trouble
}

// newWorker: ctx is Run's, and its end a shutdown.
func newWorker(ctx context.Context, c *Consumer, partition int32, commit func(int64) error) *worker {
	logger := c.logger.With("partition", partition)
	w := &worker{
		Consumer: c, partition: partition, commit: commit, logger: logger,
		leaving: func() string {
			if ctx.Err() != nil {
				return sealShutdown
			}
			return sealRebalance
		},
		request: kafka.FetchRequest{
			Topic: c.config.Topic, Partition: partition, LeaderEpoch: -1,
			MaxBytes: int(c.config.Consumer.FetchMaxBytes), MinBytes: 1,
		},
		keep:  c.config.Retention.PerPartition(c.partitions),
		share: share{memory: c.memory},
		kafka: trouble{logger: logger}, storage: trouble{logger: logger},
	}
	w.request.Room = w.share.room
	return w
}

// run stores until ctx ends, which is the generation's end. A worker that
// stops stays, because one that returned would end the generation of all.
func (w *worker) run(ctx context.Context) {
	w.metrics.active.Inc()
	defer w.metrics.lag.DeleteLabelValues(w.label())
	for ctx.Err() == nil {
		err := w.store(ctx)
		if reason, stops := stopReason(err); stops {
			w.metrics.active.Dec()
			w.standStill(ctx, reason, err)
			return
		}
		if err != nil && ctx.Err() == nil {
			w.storage.waitAfter(ctx, "partition cannot be stored", err)
		} else if err != nil && !errors.Is(err, ctx.Err()) {
			w.logger.Warn("segment given up; its records will be fetched again", "error", err)
		}
	}
	w.metrics.active.Dec()
}

func (w *worker) standStill(ctx context.Context, reason string, err error) {
	w.logger.Error("partition stopped", "reason", reason, "error", err)
	w.metrics.stops.WithLabelValues(reason).Inc()
	w.metrics.stopped.WithLabelValues(reason).Inc()
	defer w.metrics.stopped.WithLabelValues(reason).Dec()
	w.stopped.add(w.partition, err)
	defer w.stopped.remove(w.partition)
	<-ctx.Done()
}

// store opens the chain and stores until ctx ends (nil), the partition has to
// stop (a stopError), or the chain has to be opened anew.
func (w *worker) store(ctx context.Context) error {
	if err := w.openChain(ctx); err != nil {
		return err
	}
	err := w.storeUntil(ctx)
	switch reason, _ := stopReason(err); {
	case err == nil:
		err = w.sealLast(ctx, w.leaving())
	case reason != "" && reason != stopTopicRecreated:
		err = errors.Join(err, w.sealLast(ctx, sealStop))
	}
	return errors.Join(err, w.chain.Close())
}

func (w *worker) openChain(ctx context.Context) error {
	topic, err := w.client.Topic(ctx, w.config.Topic)
	if err != nil {
		return err
	}
	w.topicID, w.confirmed = topic.ID, true
	w.chain, err = w.open(ctx, w.config.Topic, topic.ID, w.partition, func(ctx context.Context) (int64, error) {
		start, _, err := w.client.Offsets(ctx, w.config.Topic, w.partition)
		return start, err
	})
	if err != nil {
		return err
	}
	w.epoch = w.chain.LeaderEpoch()
	w.logger.Info("chain opened", "offset", w.chain.NextOffset(), "epoch", w.epoch)
	w.sealedUpTo(w.chain.NextOffset())
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
	}
	return nil
}

// storeNext stores what one fetch brings, if it brings anything.
func (w *worker) storeNext(ctx context.Context) error {
	defer w.release()
	response, err := w.fetch(ctx)
	if response == nil {
		return err
	}
	defer func() { response.Records = nil }()
	return w.append(ctx, response)
}

// release keeps nothing of what was fetched.
func (w *worker) release() {
	w.reader.Reset(nil, 0, nil)
	w.share.release()
}

func (w *worker) label() string { return strconv.Itoa(int(w.partition)) }
