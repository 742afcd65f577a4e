package producer

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/logpipeline/logpipeline/ingester/record"
)

// Journal remembers, across a crash, under which numbers records of the spool
// were sent.
type Journal interface {
	// Assign is durable before it returns. It is called before the first send
	// of a record batch, but with requiredAcks One, and replaces what was
	// assigned to the same records before: under those numbers they are not in
	// Kafka.
	Assign(ctx context.Context, a record.Assignment) error
	// Settle says that the records of the sections need not be sent again:
	// they are in Kafka, or dead-lettered, or their client was told that they
	// are not. It may become durable later, with the next Assign at the
	// latest. Where records were not assigned, or given up apart from their
	// record batch, the numbers are -1.
	Settle(a record.Assignment)
}

var errJournal = errors.New("journal failed")

// assign notes under which numbers the parcel is about to be sent, unless that
// is noted already.
func (w *worker) assign(ctx context.Context) error {
	a := &w.assignment
	if w.assigned && a.ProducerID == w.identity.producer.ID && a.ProducerEpoch == w.identity.producer.Epoch && a.Sequence == w.identity.sequence {
		return nil
	}
	w.assignment = record.Assignment{
		Partition:  w.partition,
		ProducerID: w.identity.producer.ID, ProducerEpoch: w.identity.producer.Epoch, Sequence: w.identity.sequence,
		After: w.after,
	}
	if w.journal != nil {
		a.Sections, a.Time = assignedSections(w.parcel.sections), time.Now()
	}
	if len(a.Sections) > 0 && w.identity.idempotent() {
		if err := w.journal.Assign(ctx, *a); err != nil {
			return fmt.Errorf("%w: %w", errJournal, err)
		}
	}
	w.assigned = true
	return nil
}

// assignedSections are the records that come from the spool.
func assignedSections(sections []section) []record.AssignedSection {
	var assigned []record.AssignedSection
	for _, s := range sections {
		b := s.request.batch
		if b.Position == 0 {
			continue
		}
		for first, last := range s.runs {
			assigned = append(assigned, record.AssignedSection{Position: b.Position, From: b.FirstRecord + first, To: b.FirstRecord + last + 1})
		}
	}
	return assigned
}

// settlement tells the journal, in one call, that the sections of a record
// batch which was given up need not be sent again. Of one whose records may be
// in Kafka, a part must not: the journal would take the rest for new.
type settlement struct {
	journal    Journal
	assignment record.Assignment
	open       atomic.Int32 // sections that are neither told nor dead-lettered
	keep       atomic.Bool  // one of them can't be, so that all stay in the spool
}

// settlement returns nil where the sections are in no spool.
func (p *Producer) settlement(partition int32, sections []section) *settlement {
	if p.journal == nil {
		return nil
	}
	s := &settlement{journal: p.journal, assignment: record.Assignment{
		Partition: partition, ProducerID: -1, ProducerEpoch: -1, Sequence: -1, After: -1,
		Sections: assignedSections(sections),
	}}
	s.open.Store(int32(len(sections)))
	return s
}

// done says of one section whether it need not be sent again.
func (s *settlement) done(settled bool) {
	if s == nil {
		return
	}
	if !settled {
		s.keep.Store(true)
	}
	if s.open.Add(-1) == 0 && !s.keep.Load() && len(s.assignment.Sections) > 0 {
		s.journal.Settle(s.assignment)
	}
}
