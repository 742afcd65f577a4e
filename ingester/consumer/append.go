package consumer

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/logpipeline/logpipeline/ingester/kafka"
	"github.com/logpipeline/logpipeline/ingester/record"
)

// append adds the response's batches to the chain and seals whenever that is
// due; while it seals, the desk is free for others.
func (w *worker) append(ctx context.Context, response *kafka.FetchResponse) error {
	w.reader.Reset(response.Records, w.request.Offset, response.Aborted)
	for more := true; more; {
		desk := w.memory.sit(ctx)
		if desk == nil {
			return nil
		}
		var err error
		more, err = w.appendBatches(ctx, desk)
		w.memory.rise(desk)
		if err != nil {
			return w.passBy(ctx, err, response.HighWatermark)
		}
		if alone, err := w.sealIfDue(ctx, record.Span{}); err != nil || !alone {
			return err
		}
	}
	w.decoding.over()
	next := w.chain.NextOffset()
	w.behind = len(response.Records) > 0 && response.LastStableOffset > next
	w.tellBusy(w.behind)
	w.tellLag(response.HighWatermark - next)
	return nil
}

// passBy deals with what can't be stored, if that is the error.
func (w *worker) passBy(ctx context.Context, err error, end int64) error {
	var aside *hole
	switch {
	case errors.As(err, &aside):
		return w.setAside(ctx, aside)
	case errors.Is(err, kafka.ErrCorrupt):
		if err = w.corrupt(ctx, err, end); errors.As(err, &aside) {
			return w.setAside(ctx, aside)
		}
	}
	return err
}

// appendBatches appends until the segment is due, which may leave more batches,
// or until others turn out to have stored the partition. Its error is the
// chain's, a kafka.ErrCorrupt, a *hole or a *stopError.
func (w *worker) appendBatches(ctx context.Context, desk *desk) (more bool, err error) {
	w.reader.Decompressor = &desk.decompressor
	defer func() { w.reader.Decompressor = nil; w.reader.Forget() }()
	for w.chain.Due(time.Now(), record.Span{}) == "" {
		batch, err := w.reader.Next()
		if errors.Is(err, io.EOF) {
			return false, nil
		}
		if err != nil {
			return false, err
		}
		if alone, err := w.appendBatch(ctx, &desk.lines, batch); err != nil || !alone {
			return false, err
		}
	}
	return true, nil
}

// appendBatch seals first if the batch's hour asks for it. When others turn out
// to have stored the batch it is dropped, and the worker is not alone.
func (w *worker) appendBatch(ctx context.Context, lines *lines, batch *kafka.RecordBatch) (alone bool, err error) {
	for first, more := true, true; more; first = false {
		var defect error
		more, defect = lines.read(batch, w.chain.NextOffset())
		if first {
			if alone, err := w.sealIfDue(ctx, lines.span); err != nil || !alone {
				return false, err
			}
		}
		if lines.span.NextOffset > lines.span.BaseOffset {
			if err := w.chain.Append(lines.buffer, lines.span); err != nil {
				return false, &storeError{err: err}
			}
			w.epoch = lines.span.LeaderEpoch
			w.tellAppended(lines.span)
		}
		var unstorable *unstorableError
		if errors.As(defect, &unstorable) {
			return false, w.unstorable(lines, batch, unstorable)
		}
		if defect != nil {
			return false, defect
		}
	}
	return true, nil
}
