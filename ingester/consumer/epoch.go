package consumer

import (
	"context"

	"github.com/logpipeline/logpipeline/ingester/kafka"
)

// checkLog makes sure that the log still holds what was stored last, before
// what follows in it is stored. A log that was truncated may have grown beyond
// that again, and then no offset tells; but whoever truncates a log appends to
// it in a later epoch (KIP-320). So the question arises only where the epoch
// changes. One response comes from one log: its first batch speaks for all.
//
// Where the partition shall go on nevertheless, no gap is recorded: a gap is
// made of offsets that are not stored, and those that came to others are; from
// the chain's end on nothing is missing.
func (w *worker) checkLog(ctx context.Context, response *kafka.FetchResponse) error {
	epoch := response.LeaderEpoch()
	if w.epoch < 0 || epoch < 0 || epoch == w.epoch {
		return nil
	}
	end, err := w.client.EpochEnd(ctx, w.config.Topic, w.partition, w.epoch)
	if err != nil {
		return err
	}
	next := w.chain.NextOffset()
	if end < next && !w.goesOn() {
		return w.truncated(next, end, epoch)
	}
	if end < next {
		w.metrics.unreplaced.Add(float64(next - max(end, 0)))
		w.logger.Warn("going on behind records that are stored and that the brokers have lost; those that took their place are not stored",
			"reason", stopTruncated, "first", max(end, 0), "last", next-1, "epoch", epoch, "epoch_before", w.epoch)
	} else {
		w.logger.Info("another leader", "offset", next, "epoch", epoch, "epoch_before", w.epoch)
	}
	w.epoch = epoch
	return nil
}

// truncated: the log's records of the epoch that was stored last end before
// what is stored; -1 is before all.
func (w *worker) truncated(next, end int64, epoch int32) error {
	if end < 0 {
		return w.stop(stopTruncated, "offsets up to %d are stored from a leader of epoch %d, of which the log, now of epoch %d, knows nothing: the brokers have lost records; set consumer.onLoss to RecordGap to go on, or move the data directory away to begin a new chain", next-1, w.epoch, epoch)
	}
	return w.stop(stopTruncated, "offsets up to %d are stored from a leader of epoch %d, but its records end at offset %d now, and others, of epoch %d, have taken the place of the rest: the brokers have lost records; set consumer.onLoss to RecordGap to go on, or move the data directory away to begin a new chain", next-1, w.epoch, end-1, epoch)
}
