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
	switch {
	case end < 0:
		return w.stop(stopTruncated, "offsets up to %d are stored from a leader of epoch %d, of which the log, now of epoch %d, knows nothing: the brokers have lost records; move the data directory away to begin a new chain", next-1, w.epoch, epoch)
	case end < next:
		return w.stop(stopTruncated, "offsets up to %d are stored from a leader of epoch %d, but its records end at offset %d now, and others, of epoch %d, have taken the place of the rest: the brokers have lost records; move the data directory away to begin a new chain", next-1, w.epoch, end-1, epoch)
	}
	w.logger.Info("another leader", "offset", next, "epoch", epoch, "epoch_before", w.epoch)
	w.epoch = epoch
	return nil
}
