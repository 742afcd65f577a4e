package consumer

import (
	"context"
	"errors"
	"time"

	"github.com/logpipeline/logpipeline/ingester/kafka"
	"github.com/logpipeline/logpipeline/ingester/record"
)

// fetchMaxWait is how long a broker holds the answer back while it has nothing.
const fetchMaxWait = 500 * time.Millisecond

// fetch returns nothing, after a pause, when Kafka gives nothing. Its error is
// a stopError.
func (w *worker) fetch(ctx context.Context) (*kafka.FetchResponse, error) {
	response, err := w.tryFetch(ctx)
	if _, stops := record.StopReason(err); stops {
		return nil, err
	}
	if errors.Is(err, kafka.ErrNoRoom) {
		return nil, nil // the next attempt begins with waiting for room
	}
	if err != nil {
		w.confirmed, w.behind = false, false
		w.tellBusy(false)
		w.share.release() // others may go on meanwhile
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
	if err := w.makeRoom(ctx); err != nil {
		return nil, err
	}
	w.request.Offset = w.chain.NextOffset()
	response, err := w.client.Fetch(ctx, &w.request)
	if errors.Is(err, kafka.OffsetOutOfRange) {
		return nil, w.explainOutOfRange(ctx, w.request.Offset)
	}
	if err == nil {
		err = w.checkLog(ctx, response)
	}
	return response, err
}

// makeRoom reserves the room for a whole fetch where records are known to wait
// for it; then there is nothing to wait for in the broker. Elsewhere the broker
// may hold the answer back. Nothing is reserved meanwhile, and if there is no
// room when the answer comes, it is fetched again.
func (w *worker) makeRoom(ctx context.Context) error {
	w.request.MaxWait = fetchMaxWait
	if !w.behind && w.share.lacking == 0 {
		return nil
	}
	w.request.MaxWait = 0
	return w.share.reserve(ctx)
}
