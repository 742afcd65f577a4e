package producer

import (
	"context"

	"github.com/logpipeline/logpipeline/ingester/record"
)

// turns is the feed of a worker that takes from the queue itself, when it is
// its turn.
//
// It gathers as Nagle's algorithm does (RFC 896): while no record batch is on
// its way, what is there goes at once; otherwise more is gathered until one of
// those is answered, at most for the configured delay. So the delay costs
// nothing where there is little to send, and where there is much the answers
// set the pace.
type turns struct {
	*Producer
	batches []*record.Batch
}

func (t *turns) drained() <-chan struct{} { return t.Producer.drained }

// slabRequests is how many requests are allocated at once. They are mostly
// settled together; one that isn't, because the spool has it or because it is
// in doubt, keeps its slab in memory, which nobody has reserved.
const slabRequests = 32

// take waits for the worker's turn and takes a group of whole batches.
func (t *turns) take(ctx context.Context, into []section) ([]section, error) {
	batches, err := t.collect(ctx)
	if err != nil {
		return into, err
	}
	var slab []request
	for i, b := range batches {
		if len(slab) == 0 {
			slab = make([]request, min(slabRequests, len(batches)-i))
		}
		r := &slab[0]
		slab = slab[1:]
		r.open(b, nil)
		if b.Len() == 0 {
			t.complete(ctx, r)
			continue
		}
		into = append(into, section{r, 0, b.Len()})
	}
	clear(batches)
	t.batches = batches[:0]
	return into, nil
}

func (t *turns) collect(ctx context.Context) ([]*record.Batch, error) {
	select {
	case t.turn <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	defer func() { <-t.turn }()
	defer t.busy()
	return t.source.Take(ctx, t.batches, t.limits.records, int64(t.limits.bytes), t.limits.delay, t.lull)
}

// busy says that a group is on its way.
func (p *Producer) busy() {
	select {
	case <-p.lull:
	default:
	}
}

// answered says that a group was settled, one way or the other.
func (p *Producer) answered() {
	select {
	case p.lull <- struct{}{}:
	default:
	}
}
