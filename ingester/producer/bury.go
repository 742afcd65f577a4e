package producer

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/logpipeline/logpipeline/ingester/record"
)

// burialRecords is about how many records are dead-lettered at a time: many,
// since each write to the disk has its price, but the list of them takes
// memory that nobody has reserved.
const burialRecords = 10_000

var errNoDeadLetters = errors.New("no place for dead letters is configured")

// burial is requests with records that have to be dead-lettered.
type burial struct {
	requests []*request
	graves   []grave
	records  int
}

// grave is the failures of a request that are alike, and their letters.
type grave struct {
	failures []failure
	letters  []record.DeadLetter
}

// add adds the failed records of a request.
func (b *burial) add(p *Producer, r *request) {
	b.requests = append(b.requests, r)
	var definite, unknown []failure
	for _, f := range r.failures {
		switch {
		case r.kept(f.err):
			f.settlement.done(false)
		case errors.Is(f.err, record.ErrOutcomeUnknown):
			unknown = append(unknown, f)
		default:
			definite = append(definite, f)
		}
	}
	for _, alike := range [][]failure{definite, unknown} {
		if len(alike) > 0 {
			b.graves = append(b.graves, grave{alike, p.letters(alike)})
			b.records += countFailed(alike)
		}
	}
}

// bury makes dead letters of what was added. What can't be kept is lost, but
// for what is in the spool still.
func (p *Producer) bury(ctx context.Context, b *burial) {
	var letters []record.DeadLetter
	for _, g := range b.graves {
		letters = append(letters, g.letters...)
	}
	errs := p.put(ctx, letters)
	for _, g := range b.graves {
		kept := true
		for i, letter := range g.letters {
			if errs != nil && errs[i] != nil {
				kept = false
				p.lost(g.failures[0].request.batch, len(letter.Records), errs[i])
				continue
			}
			p.metrics.deadLettered.Add(float64(len(letter.Records)))
			p.buried(letter)
		}
		if errs != nil {
			errs = errs[len(g.letters):]
		}
		for _, f := range g.failures {
			f.settlement.done(kept)
		}
	}
	for _, r := range b.requests {
		r.batch.Free()
	}
	*b = burial{}
}

func (p *Producer) put(ctx context.Context, letters []record.DeadLetter) []error {
	switch {
	case len(letters) == 0:
		return nil
	case p.deadLetters == nil:
		return slices.Repeat([]error{errNoDeadLetters}, len(letters))
	}
	if ctx.Err() == nil { // there is time: a slow disk must lose nothing
		return p.deadLetters.Put(context.WithoutCancel(ctx), letters)
	}
	ctx, cancel := p.burying.outlive(ctx)
	defer cancel()
	return p.deadLetters.Put(ctx, letters)
}

// buried logs what was dead-lettered, now and then: while a topic refuses all,
// there may be letters by the thousand, and the metrics count them.
func (p *Producer) buried(letter record.DeadLetter) {
	p.burials.Do(func() {
		p.logger.Warn("records dead-lettered; ingester dead-letters list shows them", "topic", letter.Topic, "partition", letter.Partition,
			"batch", letter.Batch, "firstRecord", letter.FirstRecord, "records", len(letter.Records), "unknown", letter.Unknown, "reason", letter.Reason)
	})
}

// letters are those of one request's failures that are alike: one for each run
// of consecutive records, whichever partitions they should have gone to.
func (p *Producer) letters(failures []failure) []record.DeadLetter {
	b, first := failures[0].request.batch, failures[0]
	letter := record.DeadLetter{
		Batch: b.ID, Reason: first.err.Error(), Unknown: errors.Is(first.err, record.ErrOutcomeUnknown),
		Acknowledged: b.Acknowledged,
		Topic:        p.topic, Partition: first.partition,
		Received: b.Received, Time: time.Now(), Headers: b.Headers,
	}
	var runs [][2]int
	for _, f := range failures {
		if f.partition != letter.Partition {
			letter.Partition = -1
		}
		for first, last := range f.runs {
			runs = append(runs, [2]int{first, last})
		}
	}
	slices.SortFunc(runs, func(a, b [2]int) int { return cmp.Compare(a[0], b[0]) })
	var letters []record.DeadLetter
	next := -1
	for _, run := range runs {
		if run[0] != next {
			letter.FirstRecord = b.FirstRecord + run[0]
			letters = append(letters, letter)
		}
		current := &letters[len(letters)-1]
		for i := run[0]; i <= run[1]; i++ {
			current.Records = append(current.Records, b.Record(i))
		}
		next = run[1] + 1
	}
	return letters
}

func countFailed(failures []failure) (records int) {
	for _, f := range failures {
		records += f.len()
	}
	return records
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
