package producer

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/logpipeline/logpipeline/ingester/record"
)

// request is a record.Batch, the records of one HTTP request, in the hands of
// the producer until every record's fate is known. Its parts may be with
// several workers.
type request struct {
	batch *record.Batch
	order []int32 // the records' indices by partition; nil: all go to one, as they are

	mu         sync.Mutex
	unsettled  int // records whose fate isn't known
	placements []record.Placement
	failures   []failure
}

// failure is why a section was given up.
type failure struct {
	section
	partition  int32
	err        error
	settlement *settlement
}

func newRequest(b *record.Batch, order []int32) *request {
	r := &request{}
	r.open(b, order)
	return r
}

// open fills a new request.
func (r *request) open(b *record.Batch, order []int32) {
	r.batch, r.order, r.unsettled, r.placements = b, order, b.Len(), b.Placements()
}

// index is which record of the batch is the i-th of the request.
func (r *request) index(i int) int {
	if r.order == nil {
		return i
	}
	return int(r.order[i])
}

func (r *request) record(i int) []byte { return r.batch.Record(r.index(i)) }

// place notes where the next n records of a partition are; ranges that adjoin
// become one. It is true when no record's fate is open any more.
func (r *request) place(topic string, partition int32, offset int64, n int) (settled bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.unsettled -= n
	next := record.Placement{Topic: topic, Partition: partition, FirstOffset: offset, LastOffset: offset + int64(n) - 1}
	if k := len(r.placements) - 1; k < 0 || !join(&r.placements[k], next) {
		r.placements = append(r.placements, next)
	}
	return r.unsettled == 0
}

// kept says whether records that were given up with err are still in the spool,
// for the next run.
func (r *request) kept(err error) bool {
	return r.batch.Position != 0 && errors.Is(err, errStopped)
}

// fail notes that a section was given up. It is true when no record's fate is
// open any more.
func (r *request) fail(f failure) (settled bool) {
	if r.kept(f.err) { // whoever waits must not send them again
		f.err = fmt.Errorf("%w, the spool keeps the records: %w", record.ErrOutcomeUnknown, errStopped)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.unsettled -= f.len()
	r.failures = append(r.failures, f)
	return r.unsettled == 0
}

// outcome is what became of a settled request. Within a partition, the order
// of the offsets is that of the records.
func (r *request) outcome() record.Outcome {
	slices.SortFunc(r.placements, func(a, b record.Placement) int {
		return cmp.Or(cmp.Compare(a.Partition, b.Partition), cmp.Compare(a.FirstOffset, b.FirstOffset))
	})
	o := record.Outcome{Placements: r.placements[:min(1, len(r.placements))]}
	for _, next := range r.placements[len(o.Placements):] {
		if !join(&o.Placements[len(o.Placements)-1], next) {
			o.Placements = append(o.Placements, next)
		}
	}
	if len(r.failures) > 0 {
		o.Err = slices.MaxFunc(r.failures, func(a, b failure) int { return cmp.Compare(gravity(a.err), gravity(b.err)) }).err
	}
	return o
}

// join makes one placement of two that adjoin.
func join(p *record.Placement, next record.Placement) bool {
	if p.Partition != next.Partition || p.LastOffset+1 != next.FirstOffset {
		return false
	}
	p.LastOffset = next.LastOffset
	return true
}

// gravity says which error a client is told where records failed for several:
// first that some may be in Kafka, then that some should be sent again.
func gravity(err error) int {
	switch {
	case errors.Is(err, record.ErrOutcomeUnknown):
		return 2
	case errors.Is(err, record.ErrNotDelivered):
		return 1
	default:
		return 0
	}
}

// section is a run of records of one request, for one partition.
type section struct {
	request *request
	from    int // first record
	to      int // after the last one
}

func (s section) len() int { return s.to - s.from }

// runs are the stretches of a section that are consecutive records of its
// batch.
func (s section) runs(yield func(first, last int) bool) {
	for from := s.from; from < s.to; {
		to := from + 1
		for to < s.to && s.request.index(to) == s.request.index(to-1)+1 {
			to++
		}
		if !yield(s.request.index(from), s.request.index(to-1)) {
			return
		}
		from = to
	}
}

// count is the number of records in sections.
func count(sections []section) int {
	n := 0
	for _, s := range sections {
		n += s.len()
	}
	return n
}

// halve splits sections of at least two records into two parts, in order.
func halve(sections []section) (first, second []section) {
	left := count(sections) / 2
	for _, s := range sections {
		n := min(left, s.len())
		left -= n
		if n > 0 {
			first = append(first, section{s.request, s.from, s.from + n})
		}
		if n < s.len() {
			second = append(second, section{s.request, s.from + n, s.to})
		}
	}
	return first, second
}

// describe names the record of a section of one.
func (s section) describe(err error) error {
	return &record.Fault{Record: s.request.batch.FirstRecord + s.request.index(s.from), Err: err}
}
