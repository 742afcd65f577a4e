package spool

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/logpipeline/logpipeline/ingester/record"
)

// stored is a data entry with its records.
type stored struct {
	header
	meta dataMeta
	data []byte
}

// readStored reads a data entry. The lengths of its records are valid until
// the reader reads another.
func readStored(r *reader, at int64, h header) (stored, error) {
	e := stored{header: h, data: make([]byte, h.data)}
	meta, err := r.load(at, h, e.data)
	if err == nil {
		e.meta, err = decodeData(meta, h, r.lengths)
		r.lengths = e.meta.lengths
	}
	return e, err
}

// batch returns the records from, and without, to as a batch. Only that of all
// records uses the entry's memory.
func (e stored) batch(from, to int) (*record.Batch, error) {
	data, lengths := e.data, e.meta.lengths[from:to]
	if to-from < int(e.records) {
		begin, end := e.offset(from), e.offset(to)
		data = slices.Clone(data[begin:end])
	}
	b, err := record.Restore(e.meta.id, data, lengths)
	if err != nil {
		return nil, err
	}
	b.Received, b.Headers, b.IdempotencyKey, b.Acknowledged = e.meta.received, e.meta.headers, e.meta.key, e.meta.acknowledged
	b.Position, b.FirstRecord = e.position, from
	return b, nil
}

// offset is where a record begins in the data.
func (e stored) offset(record int) (n int) {
	for _, length := range e.meta.lengths[:record] {
		n += int(length)
	}
	return n
}

// parts is the watcher of the batches that one entry has become, because some
// of its records were assigned or settled before a crash. It tells the
// watcher of the whole once, when all of them have been settled.
type parts struct {
	whole record.Watcher

	mu       sync.Mutex
	left     int
	outcomes []partOutcome
}

type partOutcome struct {
	first int // record
	record.Outcome
}

// part watches the batch that begins with a record.
func (p *parts) part(first int) record.Watcher { return part{p, first} }

type part struct {
	*parts
	first int
}

// Settled is called for each part once.
func (p part) Settled(o record.Outcome) {
	p.mu.Lock()
	p.outcomes = append(p.outcomes, partOutcome{p.first, o})
	p.left--
	last := p.left == 0
	p.mu.Unlock()
	if last {
		p.whole.Settled(p.sum())
	}
}

// sum is the outcome of all parts, in the order of their records. Placements
// of what was settled before the crash aren't known any more.
func (p *parts) sum() (o record.Outcome) {
	slices.SortFunc(p.outcomes, func(a, b partOutcome) int { return cmp.Compare(a.first, b.first) })
	for _, part := range p.outcomes {
		o.Placements = append(o.Placements, part.Placements...)
		o.Err = errors.Join(o.Err, part.Err)
	}
	return o
}

// unreadable is the outcome of a batch that the disk has lost.
func unreadable(d string) record.Outcome {
	return record.Outcome{Err: fmt.Errorf("%w: the spool can't read them any more: %s", record.ErrNotDelivered, d)}
}
