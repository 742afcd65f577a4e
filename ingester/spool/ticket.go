package spool

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/logpipeline/logpipeline/ingester/durable"
	"github.com/logpipeline/logpipeline/ingester/record"
)

// ticket is what somebody wants written.
type ticket struct {
	kind    kind
	header  header // of a data entry; its position is set by the writer
	at      int64  // where the entry stands, set by the writer
	batch   *record.Batch
	assign  record.Assignment
	settle  []settledSection
	refusal error
	done    chan error // unless kind is kindSettle, for which nobody waits
}

// Append returns nil once the batch is durable; then it is the spool's, which
// feeds it to the queue. With an error the batch is the caller's as it was,
// and will not be found again by a later start:
//
//   - record.ErrSpoolFull: the spool's bound is reached, or the disk is full;
//   - record.ErrClosed: the spool is stopping;
//   - ctx's error: it ended before the writing began. Once it has begun Append
//     waits for the disk, whatever becomes of ctx;
//   - record.ErrOutcomeUnknown: writing failed, and what may have been written
//     couldn't be cut off, so that a later start may find it nevertheless;
//   - any other: writing failed.
//
// Reservation and buffer of the batch are in use until Append returns.
func (s *Spool) Append(ctx context.Context, b *record.Batch) error {
	if b.Len() == 0 {
		return s.queue.Put(b) // there is nothing to lose
	}
	t := s.tickets.Get().(*ticket)
	t.kind, t.batch, t.header = kindData, b, s.headerOf(b)
	if err := s.submit(ctx, t); err != nil {
		return fmt.Errorf("append batch %s to the spool: %w", b.ID, err)
	}
	return nil
}

// Assign returns nil once it is durable under which numbers the sections are
// going to be sent. With an error they must not be sent under them. Another
// attempt under the same numbers, with the same records, needs no new Assign.
// The errors are those of Append.
func (s *Spool) Assign(ctx context.Context, a record.Assignment) error {
	for _, section := range a.Sections {
		if section.Position == 0 {
			return fmt.Errorf("assign sequence %d of partition %d: it holds records that aren't in the spool, so that it couldn't be resent as it is", a.Sequence, a.Partition)
		}
	}
	t := s.tickets.Get().(*ticket)
	t.kind, t.assign = kindAssign, a
	if err := s.submit(ctx, t); err != nil {
		return fmt.Errorf("assign sequence %d of partition %d: %w", a.Sequence, a.Partition, err)
	}
	return nil
}

// Settle says that the records of the sections are done: in Kafka, or
// dead-lettered. It is durable with the next Assign or Append, and soon without
// any; until then a crash makes them come back as the reopened record batch
// that they were.
//
// It also ends every assignment of which it settles a record: what is not
// settled of that comes back, after a crash, as if it had never been assigned.
// So the records of a record batch that was acknowledged are settled by one
// call, and only those of one that was definitely refused by several.
func (s *Spool) Settle(a record.Assignment) {
	t := &ticket{kind: kindSettle}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, section := range a.Sections {
		if e := s.entryLocked(section.Position); e != nil && 0 <= section.From && section.From < section.To && section.To <= e.records {
			t.settle = append(t.settle, settledSection{section, e.records})
		}
	}
	if len(t.settle) > 0 {
		s.pending = append(s.pending, t)
		s.wakeWriter()
	}
}

// submit hands the ticket to the writer and waits for it.
func (s *Spool) submit(ctx context.Context, t *ticket) error {
	if err := s.enqueue(t); err != nil {
		return err
	}
	select {
	case err := <-t.done:
		s.recycle(t)
		return err
	case <-ctx.Done():
	}
	if s.withdraw(t) {
		return ctx.Err()
	}
	err := <-t.done
	s.recycle(t)
	return err
}

func (s *Spool) enqueue(t *ticket) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return record.ErrClosed
	}
	if t.kind == kindData {
		if err := s.admitLocked(t.header.size()); err != nil {
			return err
		}
	}
	s.pending = append(s.pending, t)
	s.urgent++
	s.wakeWriter()
	return nil
}

// admitLocked keeps the spool within its bound.
func (s *Spool) admitLocked(n int64) error {
	if limit := s.options.dataLimit(); s.stored+s.admitted+n > limit {
		s.metrics.refused.WithLabelValues("spool-full").Inc()
		return fmt.Errorf("%w: %d of %d bytes for batches are taken", record.ErrSpoolFull, s.stored+s.admitted, limit)
	}
	s.admitted += n
	return nil
}

// withdraw takes a ticket back that the writer has not seen yet.
func (s *Spool) withdraw(t *ticket) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := slices.Index(s.pending, t)
	if i < 0 {
		return false
	}
	s.pending = slices.Delete(s.pending, i, i+1)
	s.urgent--
	if t.kind == kindData {
		s.admitted -= t.header.size()
	}
	return true
}

func (s *Spool) recycle(t *ticket) {
	*t = ticket{done: t.done}
	s.tickets.Put(t)
}

// headerOf is the header of a batch's entry, but for its position. The head of
// the meta is encoded to be measured; it is small, and encoded again when it
// is written.
func (s *Spool) headerOf(b *record.Batch) header {
	var space [256]byte
	head := len(appendDataHead(space[:0], b))
	return header{
		kind: kindData, meta: uint32(head + lengthsSize(b) + flagsSize), data: uint32(b.Bytes()), records: uint32(b.Len()),
	}
}

// dataLimit is how many bytes batches may take: of the rest, a sixteenth is
// the journal's, and a quarter of a segment is preallocated at a time.
func (o Options) dataLimit() int64 {
	return o.MaxBytes - o.MaxBytes/16 - 2*o.reserve()
}

// reserve is what stays preallocated for the journal. A section of a batch
// takes it some 10 bytes, a batch at least 40 bytes of data, so that this
// settles more than a segment's worth in whatever pieces.
func (o Options) reserve() int64 { return max(o.segmentBytes/8, 64<<10) }

// refusalOf is the error of whoever waits for what couldn't be written.
func refusalOf(err error, certain bool) error {
	switch {
	case !certain:
		return fmt.Errorf("%w: %w", record.ErrOutcomeUnknown, err)
	case durable.IsFull(err) && !errors.Is(err, record.ErrSpoolFull):
		return fmt.Errorf("%w: %w", record.ErrSpoolFull, err)
	}
	return err
}
