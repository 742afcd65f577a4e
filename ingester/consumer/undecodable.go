package consumer

import (
	"context"
	"errors"
	"fmt"

	"github.com/logpipeline/logpipeline/ingester/kafka"
)

const (
	// suspectAttempts is how often a batch that can't be decoded is fetched
	// before that is believed: another leader may have it whole.
	suspectAttempts = 5
	// maxHoles is how many holes one record batch may leave in the chain, each
	// of which costs a segment; then the rest of the batch becomes one.
	maxHoles = 16
	// holeBytes bounds what is held of the letters of one hole: there may be
	// millions of them in one compressed batch, and those beyond it are in the
	// next hole. letterOverhead is about what a letter takes beside its value.
	holeBytes      = 8 << 20
	letterOverhead = 1 << 10
)

// hole is a run of offsets that cannot be stored, and what is to be kept of it
// elsewhere. As an error it ends the reading of what was fetched.
type hole struct {
	next    int64 // offset behind it
	stop    *stopError
	letters []letter
}

func (h *hole) Error() string { return h.stop.Error() }
func (h *hole) Unwrap() error { return h.stop }

// suspect is the last batch that couldn't be decoded, or whose records couldn't
// all be stored.
type suspect struct {
	offset int64
	times  int
	base   int64 // of the batch that has left holes
	holes  int
}

// corrupt decides on a batch that can't be decoded: it is fetched again (nil),
// is a hole, or stops the partition. It stops where it can't be told where the
// batch ends.
func (w *worker) corrupt(ctx context.Context, err error, end int64) error {
	next := w.chain.NextOffset()
	if w.suspect.offset != next {
		w.suspect.offset, w.suspect.times = next, 0
	}
	var batch *kafka.CorruptError
	located := errors.As(err, &batch)
	if w.suspect.times++; w.suspect.times < suspectAttempts {
		if located { // so that what follows it is seen
			w.request.MaxBytes = int(w.config.Consumer.FetchMaxBytes) + len(batch.Batch)
		}
		w.decoding.waitAfter(ctx, "batch cannot be decoded", err)
		return nil
	}
	w.request.MaxBytes = int(w.config.Consumer.FetchMaxBytes)
	w.suspect.times = 0
	w.decoding.leave()
	behind := int64(-1)
	if located {
		behind = behindBatch(batch, end)
	}
	if w.config.DeadLetter.Topic == "" || behind <= next {
		return w.stop(stopCorrupt, "reading at offset %d: %w; mend the topic on the brokers", next, err)
	}
	stop := w.stop(stopCorrupt, "reading at offset %d: %w", next, err)
	return &hole{next: behind, stop: stop, letters: w.lettersOfBatch(next, behind, batch)}
}

// behindBatch is the offset after a batch, -1 if nobody knows. Its own word
// counts for a batch that ends the log if that ends there as well.
func behindBatch(batch *kafka.CorruptError, end int64) int64 {
	if batch.NextOffset < 0 && batch.Claimed == end {
		return end
	}
	return batch.NextOffset
}

// unstorable makes a hole of the records from the one that lines have come to
// up to the next that can be stored.
func (w *worker) unstorable(l *lines, batch *kafka.RecordBatch, err *unstorableError) error {
	if w.config.DeadLetter.Topic == "" {
		return w.stop(stopUnstorable, "%w; name a deadLetter.topic for such records, or give this one up (ingester chain resume --record-gap)", err)
	}
	stop := w.stop(stopUnstorable, "%w", err)
	if w.suspect.base != batch.BaseOffset {
		w.suspect.base, w.suspect.holes = batch.BaseOffset, 0
	}
	w.suspect.holes++
	h := &hole{next: err.offset + 1, stop: stop, letters: []letter{w.letterOfRecord(&l.record, err.defect)}}
	for held := 0; batch.Next(&l.record); {
		if held += letterOverhead + len(l.record.Value); held > holeBytes {
			return h
		}
		defect := defectOf(l.record.Value)
		if defect == "" && w.suspect.holes < maxHoles {
			h.next = l.record.Offset
			return h
		}
		if defect == "" {
			defect = "is in a batch with many others that are not one line"
		}
		h.letters = append(h.letters, w.letterOfRecord(&l.record, defect))
		h.next = l.record.Offset + 1
	}
	if batch.Err() == nil {
		h.next = batch.NextOffset
	}
	return h
}

// setAside keeps what can't be stored in the dead-letter topic, and then
// records the hole. A crash in between writes the letters once more, under the
// same keys.
func (w *worker) setAside(ctx context.Context, h *hole) error {
	if err := w.writeLetters(ctx, h.letters); err != nil {
		if refused(err) {
			h.stop.err = fmt.Errorf("%w; and it cannot be kept in the dead-letter topic: %w; let that topic take it, or give it up (ingester chain resume --record-gap)", h.stop.err, err)
			return h.stop
		}
		return err
	}
	w.metrics.deadLetters.WithLabelValues(h.stop.reason).Add(float64(len(h.letters)))
	text := fmt.Sprintf("%s: kept in topic %q under the key %q: %v", h.stop.reason, w.config.DeadLetter.Topic, h.letters[0].identity, h.stop.err)
	return w.recordGap(ctx, h.next, h.stop.reason, text)
}
