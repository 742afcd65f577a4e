package aggregate

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"time"
)

// Rollups are where encoded roll-ups lie.
type Rollups interface {
	// Segments yields the sealed segments of a topic, each once and in any
	// order, that have records whose timestamps are from or later and before
	// to. It may yield more than these. It ends after the first error.
	Segments(ctx context.Context, topic string, from, to time.Time) iter.Seq2[Source, error]
	// Rollup reads what was written under a name; see Plan.Name. What isn't
	// there is fs.ErrNotExist.
	Rollup(ctx context.Context, name string) ([]byte, error)
}

// Records are where the segments lie.
type Records interface {
	// Lines yields the lines of a segment as Rollup.Add takes them: those of
	// one record batch, or a part of them, at a time. They are valid until the
	// next iteration. It ends after the first error, which is fs.ErrNotExist
	// when retention has removed the data.
	Lines(ctx context.Context, of Source) iter.Seq2[Run, error]
}

// Run are lines, each with its '\n', of one record batch.
type Run struct {
	Lines     []byte
	Timestamp int64 // milliseconds since the Unix epoch; that of the record batch
}

// Coverage says how much of what was asked for an answer covers.
type Coverage struct {
	// Segments may have records of the time that was asked for.
	Segments int `json:"segments"`
	// Missing are those of them whose roll-up isn't there, is damaged, or is
	// of another configuration. What they hold is not in the answer.
	Missing int `json:"missing"`
	// Recomputed are those whose roll-up was computed for this answer.
	Recomputed int `json:"recomputed,omitempty"`
}

// Recompute makes the roll-up of a segment when it is missing; why says in
// which way. It returns fs.ErrNotExist when the segment's data isn't there
// either, as retention has removed it: then it stays missing.
type Recompute func(ctx context.Context, of Source, why error) (*Rollup, error)

// Gather answers a query from roll-ups. recompute may be nil: then missing ones
// are only counted. Its error is a *QueryError, ErrTooManyRows, the end of ctx,
// or one of the store's or of recompute's.
func (p *Plan) Gather(ctx context.Context, from Rollups, topic string, q Query, recompute Recompute) (*Answer, Coverage, error) {
	var coverage Coverage
	answer, err := p.NewAnswer(q)
	if err != nil {
		return nil, coverage, err
	}
	for source, err := range from.Segments(ctx, topic, q.From, q.To.Add(p.Window())) {
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return nil, coverage, fmt.Errorf("find segments of %q: %w", topic, err)
		}
		coverage.Segments++
		r, err := p.read(ctx, from, source)
		if missing(err) && recompute != nil {
			if r, err = recompute(ctx, source, err); err == nil {
				coverage.Recomputed++
			}
		}
		switch {
		case missing(err):
			coverage.Missing++
			continue
		case err == nil:
			err = answer.Add(r)
		}
		if err != nil {
			return nil, coverage, fmt.Errorf("aggregate partition %d from offset %d on: %w", source.Partition, source.BaseOffset, err)
		}
	}
	return answer, coverage, nil
}

func (p *Plan) read(ctx context.Context, from Rollups, source Source) (*Rollup, error) {
	document, err := from.Rollup(ctx, p.Name(source))
	if err != nil {
		return nil, err
	}
	r, of, err := p.Decode(document)
	if err == nil && of != source {
		err = fmt.Errorf("%w: it is of %+v, not of %+v", ErrDamaged, of, source)
	}
	return r, err
}

func missing(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, ErrDamaged) || errors.Is(err, ErrOtherConfiguration)
}

// Count computes the roll-up of a segment from its lines.
func (p *Plan) Count(ctx context.Context, from Records, of Source) (*Rollup, error) {
	r := p.NewRollup()
	for run, err := range from.Lines(ctx, of) {
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return nil, err
		}
		r.Add(run.Lines, run.Timestamp)
	}
	return r, nil
}
