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

// expire gives up the batches that have waited for longer than the delivery
// timeout, for no partition, or not theirs, can be written: their clients are
// told so while they still wait. What the spool holds may wait: that is what
// the spool is for, and nobody is told less than was promised. It also notices
// the source's end where no worker is there to do so. It returns when ctx ends.
func (p *Producer) expire(ctx context.Context) {
	for pause(ctx, nil, overdueInterval) {
		var received time.Time // before all that there is
		if p.journal == nil {
			received = time.Now().Add(-p.limits.deliveryTimeout)
			p.routes.giveBack(ctx, received, errOverdue)
		}
		overdue, err := p.source.TakeOlder(received, nil)
		p.giveBack(ctx, overdue, errOverdue)
		if errors.Is(err, io.EOF) {
			p.sourceEnded()
		}
	}
}

// abandon gives up what is left in the source and on the way to the workers,
// and returns how many records that were.
func (p *Producer) abandon(ctx context.Context) int {
	all := time.Now().Add(time.Hour)
	rest, _ := p.source.TakeOlder(all, nil)
	return p.routes.giveBack(ctx, all, errStopped) + p.giveBack(ctx, rest, errStopped)
}

// giveBack completes batches for which no partition was chosen.
func (p *Producer) giveBack(ctx context.Context, batches []*record.Batch, reason error) (records int) {
	return p.giveBackAt(ctx, -1, batches, reason)
}

// giveBackAt completes batches of which nothing was sent.
func (p *Producer) giveBackAt(ctx context.Context, partition int32, batches []*record.Batch, reason error) (records int) {
	var sections []section
	for _, b := range batches {
		if b.Len() == 0 {
			p.complete(ctx, newRequest(b, nil))
			continue
		}
		sections = append(sections, section{newRequest(b, nil), 0, b.Len()})
	}
	return p.giveBackSections(ctx, partition, sections, reason)
}

// giveBackSections settles sections that were never sent. The partition is -1
// where none had been chosen.
func (p *Producer) giveBackSections(ctx context.Context, partition int32, sections []section, reason error) (records int) {
	if len(sections) == 0 {
		return 0
	}
	records = count(sections)
	p.logger.Error("records given up before they were sent", "topic", p.topic, "partition", partition, "requests", len(sections), "records", records, "reason", reason)
	err := fmt.Errorf("%w: %w", record.ErrNotDelivered, reason)
	settlement := p.settlement(partition, sections)
	var settled []*request
	for _, s := range sections {
		if !s.request.kept(err) {
			p.metrics.refused.WithLabelValues(label(reason)).Add(float64(s.len()))
		}
		if s.request.fail(failure{s, partition, err, settlement}) {
			settled = append(settled, s.request)
		}
	}
	p.complete(ctx, settled...)
	return records
}

func (p *Producer) sourceEnded() { p.drain.Do(func() { close(p.drained) }) }
