package producer

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/logpipeline/logpipeline/ingester/config"
	"github.com/logpipeline/logpipeline/ingester/record"
)

// DeadLetters keeps what was not delivered and whose client can't be told so
// any more. It may be used by several goroutines.
type DeadLetters interface {
	// Put returns when the records are safe, or an error that says why they
	// aren't.
	Put(ctx context.Context, letter record.DeadLetter) error
}

// outlast is how long a letter may take, and how long all of them together may
// outlast the hard deadline.
const outlast = 5 * time.Second

var errNoDeadLetters = errors.New("no place for dead letters is configured")

// complete tells a batch what became of it, once its every record is settled,
// and gives its bytes back. Records that failed are dead-lettered where nobody
// waits who could be told: a client that is told keeps its records, and would
// send them again.
func (p *Producer) complete(ctx context.Context, r *request) {
	o := r.outcome()
	heard := r.batch.Complete(o)
	if o.Err == nil {
		p.metrics.delivery.Observe(time.Since(r.batch.Received).Seconds())
	}
	for _, f := range r.failures {
		f.settlement.done(!r.kept(f.err) && (heard || p.bury(ctx, f)))
	}
	r.batch.Free()
}

// bury makes dead letters of records. It is false when not all could be kept:
// then they are lost, but for those that are in the spool still.
func (p *Producer) bury(ctx context.Context, f failure) (kept bool) {
	kept = true
	for first, last := range f.runs {
		if err := p.put(ctx, p.letter(f, first, last)); err != nil {
			p.lost(f.request.batch, last-first+1, err)
			kept = false
			continue
		}
		p.metrics.deadLettered.Add(float64(last - first + 1))
	}
	return kept
}

func (p *Producer) letter(f failure, first, last int) record.DeadLetter {
	b := f.request.batch
	letter := record.DeadLetter{
		Batch: b.ID, FirstRecord: b.FirstRecord + first,
		Reason: f.err.Error(), Unknown: errors.Is(f.err, record.ErrOutcomeUnknown),
		Acknowledged: p.acknowledge == config.AcknowledgeQueued,
		Topic:        p.topic, Partition: f.partition,
		Received: b.Received, Time: time.Now(), Headers: b.Headers,
	}
	for i := first; i <= last; i++ {
		letter.Records = append(letter.Records, b.Record(i))
	}
	return letter
}

func (p *Producer) put(ctx context.Context, letter record.DeadLetter) error {
	if p.deadLetters == nil {
		return errNoDeadLetters
	}
	ctx, cancel := p.outlive(ctx)
	defer cancel()
	return p.deadLetters.Put(ctx, letter)
}

// lost counts and logs what is nowhere any more.
func (p *Producer) lost(b *record.Batch, records int, err error) {
	if b.Position != 0 {
		p.logger.Error("records could not be dead-lettered; the spool keeps them", "batch", b.ID, "records", records, "error", err)
		return
	}
	p.metrics.lost.Add(float64(records))
	p.logger.Error("records lost", "topic", p.topic, "batch", b.ID, "records", records, "error", fmt.Errorf("dead-letter them: %w", err))
}

// outlive is a context for what must still be tried when the hard deadline
// ends ctx; all of it together gets a few seconds then.
func (p *Producer) outlive(ctx context.Context) (context.Context, context.CancelFunc) {
	end := time.Now().Add(outlast)
	if ctx.Err() != nil {
		p.ending.Do(func() { p.end = end })
		end = p.end
	}
	return context.WithDeadline(context.WithoutCancel(ctx), end)
}
