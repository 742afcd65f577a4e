package producer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/logpipeline/logpipeline/ingester/record"
)

// overdueInterval is how often batches that nobody can take are looked for.
const overdueInterval = 100 * time.Millisecond

var (
	errOverdue = errors.New("no partition could be written in time")
	errStopped = errors.New("the producer was stopped first")
)

// expire gives up the batches that have waited in the source for longer than
// the delivery timeout, for no partition can be written: their clients are told
// so while they still wait. It also notices the source's end where no worker
// is there to do so. It returns when there is no more to do.
func (p *Producer) expire(ctx context.Context) {
	for p.pause(ctx, overdueInterval) {
		overdue, err := p.source.TakeOlder(time.Now().Add(-p.limits.deliveryTimeout), nil)
		p.giveBack(overdue, errOverdue)
		if errors.Is(err, io.EOF) {
			p.sourceEnded()
		}
	}
}

// abandon gives up what is left in the source and returns how many records
// that were.
func (p *Producer) abandon() int {
	rest, _ := p.source.TakeOlder(time.Now().Add(time.Hour), nil) // all of it
	return p.giveBack(rest, errStopped)
}

// giveBack completes batches of which nothing was sent.
func (p *Producer) giveBack(batches []*record.Batch, reason error) (records int) {
	for _, b := range batches {
		records += b.Len()
		p.complete(b, record.Outcome{Err: fmt.Errorf("%w: %w", record.ErrNotDelivered, reason)})
	}
	if records > 0 {
		p.metrics.refused.WithLabelValues(reason.Error()).Add(float64(records))
		p.logger.Error("records given up before they were sent", "topic", p.topic, "batches", len(batches), "records", records, "reason", reason)
	}
	return records
}

func (p *Producer) sourceEnded() { p.drain.Do(func() { close(p.drained) }) }
