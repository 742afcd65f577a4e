package producer

import (
	"context"
	"sync"
	"time"

	"github.com/logpipeline/logpipeline/ingester/record"
)

// DeadLetters keeps what was not delivered and whose client can't be told so
// any more. It may be used by several goroutines.
type DeadLetters interface {
	// Put returns nil when all letters are safe, and otherwise an error for
	// each, nil for those that are. It begins no more once ctx has ended.
	Put(ctx context.Context, letters []record.DeadLetter) []error
}

// How long all searches together may outlast the hard deadline, and after them
// all dead letters: what is known of a log that doesn't answer must not cost
// what is to be kept on a disk that does.
const (
	searchesOutlast = 3 * time.Second
	lettersOutlast  = 5 * time.Second
)

// complete tells batches what became of them, once their every record is
// settled, and gives their bytes back. Records that failed are dead-lettered
// where nobody waits who could be told: a client that is told keeps its
// records, and would send them again.
func (p *Producer) complete(ctx context.Context, requests ...*request) {
	var dead burial
	for _, r := range requests {
		o := r.outcome()
		heard := r.batch.Complete(o)
		if o.Err == nil {
			p.metrics.delivery.Observe(time.Since(r.batch.Received).Seconds())
		}
		switch {
		case heard || len(r.failures) == 0:
			for _, f := range r.failures {
				f.settlement.done(!r.kept(f.err))
			}
			r.batch.Free()
		default:
			dead.add(p, r)
		}
		if dead.records >= burialRecords {
			p.bury(ctx, &dead)
		}
	}
	p.bury(ctx, &dead)
}

// extension is the time after the hard deadline for one kind of work.
type extension struct {
	most time.Duration
	set  sync.Once
	end  time.Time
}

// outlive is a context for what must still be tried when the hard deadline ends
// ctx: all of it together has the time of the extension then.
func (e *extension) outlive(ctx context.Context) (context.Context, context.CancelFunc) {
	end := time.Now().Add(e.most)
	if ctx.Err() != nil {
		e.set.Do(func() { e.end = end })
		end = e.end
	}
	return context.WithDeadline(context.WithoutCancel(ctx), end)
}
