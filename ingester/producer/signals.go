package producer

import (
	"sync/atomic"
	"time"

	"github.com/logpipeline/logpipeline/ingester/signal"
)

// progress is what has been sent since the start.
type progress struct {
	acknowledged atomic.Int64 // record batches
	took         atomic.Int64 // all of them, from the first sending on, in nanoseconds
	failed       atomic.Int64 // sendings
}

// acknowledge counts a record batch that was first sent at that time.
func (p *progress) acknowledge(began time.Time) {
	p.acknowledged.Add(1)
	p.took.Add(int64(time.Since(began)))
}

// Signals enters the producer's numbers: ProducedBatches, ProduceSeconds,
// ProduceRetries and KafkaUnreachable.
func (p *Producer) Signals(into *signal.Ingester) {
	into.ProducedBatches = p.progress.acknowledged.Load()
	into.ProduceSeconds = time.Duration(p.progress.took.Load()).Seconds()
	into.ProduceRetries = p.progress.failed.Load()
	into.KafkaUnreachable = p.Unreachable()
}
