package consumer

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"strconv"
	"time"

	"github.com/logpipeline/logpipeline/ingester/config"
	"github.com/logpipeline/logpipeline/ingester/kafka"
	"github.com/logpipeline/logpipeline/ingester/record"
)

const (
	fetchMaxWait = 500 * time.Millisecond
	// confirmTimeout bounds how long a seal waits for Kafka to say that the
	// topic is still the same.
	confirmTimeout = 3 * time.Second
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
	request   kafka.FetchRequest
	reader    kafka.BatchReader
	lines     lines
	confirmed bool // the topic has been confirmed since the last failed fetch
	kafka     trouble
	storage   trouble
}

// newWorker: ctx is Run's, and its end a shutdown.
func newWorker(ctx context.Context, c *Consumer, partition int32, commit func(int64) error) *worker {
	logger := c.logger.With("partition", partition)
	return &worker{
		Consumer: c, partition: partition, commit: commit, logger: logger,
		leaving: func() string {
			if ctx.Err() != nil {
				return sealShutdown
			}
			return sealRebalance
		},
		request: kafka.FetchRequest{
			Topic: c.config.Topic, Partition: partition, LeaderEpoch: -1,
			MaxBytes: int(c.config.Consumer.FetchMaxBytes), MinBytes: 1, MaxWait: fetchMaxWait,
		},
		keep:  c.config.Retention.PerPartition(c.partitions),
		kafka: trouble{logger: logger}, storage: trouble{logger: logger},
	}
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
	w.logger.Info("chain opened", "offset", w.chain.NextOffset())
	w.sealedUpTo(w.chain.NextOffset())
	return nil
}

// storeUntil returns nil when ctx ends.
func (w *worker) storeUntil(ctx context.Context) error {
	for ctx.Err() == nil {
		response, err := w.fetch(ctx)
		if err != nil {
			return err
		}
		if response != nil {
			if err := w.append(ctx, response); err != nil {
				return err
			}
		}
		if err := w.sealIfDue(ctx, record.Span{}); err != nil {
			return err
		}
	}
	return nil
}

// fetch returns nothing, after a pause, when Kafka gives nothing. Its error is
// a stopError.
func (w *worker) fetch(ctx context.Context) (*kafka.FetchResponse, error) {
	response, err := w.tryFetch(ctx)
	if _, stops := stopReason(err); stops {
		return nil, err
	}
	if err != nil {
		w.confirmed = false
		w.kafka.waitAfter(ctx, "partition cannot be fetched", err)
		return nil, nil
	}
	w.kafka.over()
	return response, nil
}

func (w *worker) tryFetch(ctx context.Context) (*kafka.FetchResponse, error) {
	if !w.confirmed {
		if err := w.confirmTopic(ctx); err != nil {
			return nil, err
		}
		w.confirmed = true
	}
	w.request.Offset = w.chain.NextOffset()
	response, err := w.client.Fetch(ctx, &w.request)
	if errors.Is(err, kafka.OffsetOutOfRange) {
		return nil, w.explainOutOfRange(ctx, w.request.Offset)
	}
	return response, err
}

// append adds the response's batches to the chain.
func (w *worker) append(ctx context.Context, response *kafka.FetchResponse) error {
	w.reader.Reset(response.Records, w.request.Offset, response.Aborted)
	for {
		batch, err := w.reader.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return w.stopAtBatch(err)
		}
		unreadable := w.lines.read(batch, w.chain.NextOffset())
		before := w.chain.NextOffset()
		if err := w.appendLines(ctx); err != nil {
			return err
		}
		if unreadable != nil {
			return w.stopAtBatch(unreadable)
		}
		if w.chain.NextOffset() != w.lines.span.NextOffset {
			w.logger.Info("others have stored this partition meanwhile", "offset", before, "next", w.chain.NextOffset())
			return nil // fetch from there
		}
	}
	w.metrics.lag.WithLabelValues(w.label()).Set(float64(max(0, response.HighWatermark-w.chain.NextOffset())))
	return nil
}

// appendLines seals first if that is due. When others turn out to have stored
// the batch, it is dropped.
func (w *worker) appendLines(ctx context.Context) error {
	span := w.lines.span
	if span.NextOffset == span.BaseOffset {
		return nil
	}
	if err := w.sealIfDue(ctx, span); err != nil {
		return err
	}
	if w.chain.NextOffset() != span.BaseOffset {
		return nil
	}
	return w.chain.Append(w.lines.buffer, span)
}

func (w *worker) stopAtBatch(err error) error {
	var unstorable *unstorableError
	if errors.As(err, &unstorable) {
		return w.stop(stopUnstorable, "%w; remove the records up to and including it from the topic (kafka-delete-records) and begin behind it with a new data directory", err)
	}
	return w.stop(stopCorrupt, "reading at offset %d: %w; mend the topic on the brokers", w.chain.NextOffset(), err)
}

func (w *worker) label() string { return strconv.Itoa(int(w.partition)) }
