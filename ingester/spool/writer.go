package spool

import (
	"context"
	"time"
)

const (
	// groupBytes is how many bytes of data entries one fdatasync is for, at
	// most, unless it is a single one: nobody should wait for too many others.
	groupBytes = 8 << 20
	// settleDelay is how long a settle entry waits for somebody who needs a
	// fdatasync anyhow.
	settleDelay = 100 * time.Millisecond
)

// write writes groups of what is pending, until ctx has ended and nothing is.
func (s *Spool) write(ctx context.Context) {
	var group []*ticket
	for open := true; open; {
		group, open = s.gather(ctx, group[:0])
		if len(group) > 0 {
			s.commit(group)
		}
		clear(group)
	}
}

// gather waits for something to write. It is false for the last time.
func (s *Spool) gather(ctx context.Context, group []*ticket) (_ []*ticket, open bool) {
	var overdue <-chan time.Time
	for wait := true; wait; {
		s.mu.Lock()
		urgent, settles := s.urgent > 0 || s.closed, len(s.pending) > 0
		s.mu.Unlock()
		if urgent {
			break
		}
		if settles && overdue == nil {
			timer := time.NewTimer(settleDelay)
			defer timer.Stop()
			overdue = timer.C
		}
		select {
		case <-s.wake:
		case <-overdue:
			wait = false
		case <-ctx.Done():
			s.refuseLater()
		}
	}
	return s.take(group)
}

// refuseLater refuses everything that comes from now on.
func (s *Spool) refuseLater() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
}

// take moves a group from pending. It is false when nothing can come any more.
func (s *Spool) take(group []*ticket) (_ []*ticket, open bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n, bytes := 0, int64(0)
	for _, t := range s.pending {
		if t.kind == kindData {
			bytes += t.header.size()
		}
		if n > 0 && bytes > groupBytes {
			break
		}
		if t.kind != kindSettle {
			s.urgent--
		}
		n++
	}
	group = append(group, s.pending[:n]...)
	rest := copy(s.pending, s.pending[n:])
	clear(s.pending[rest:])
	s.pending = s.pending[:rest]
	return group, !s.closed || rest > 0
}

func (s *Spool) wakeWriter() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// commit makes a group durable and tells everybody who waits. Where that
// fails, batches are refused, and the journal, for which room is kept, is
// tried once more without them.
func (s *Spool) commit(group []*ticket) {
	written, err := group, s.attempt(group)
	if err != nil {
		written = refuse(group, err, func(t *ticket) bool { return t.kind == kindData })
		if len(written) > 0 {
			if err = s.attempt(written); err != nil {
				written = refuse(written, err, func(t *ticket) bool { return t.kind == kindAssign })
				s.putBack(written)
				written = nil
			}
		}
		if err != nil {
			s.trouble.Do(func() { s.logger.Error("the spool can't be written", "dir", s.options.Dir, "error", err) })
		}
	}
	s.finish(group, written)
	s.answer(group)
	s.removeDone()
}

// attempt writes and syncs the tickets. Those that don't fit on the disk are
// refused one by one. After an error none of them is in the log, unless that
// says that the outcome is unknown.
func (s *Spool) attempt(group []*ticket) error {
	if err := s.activate(); err != nil {
		return refusalOf(err, true)
	}
	for _, t := range group {
		s.add(t)
	}
	began := time.Now()
	err := s.log.sync()
	if err == nil {
		s.metrics.fsync.Observe(time.Since(began).Seconds())
		return nil
	}
	certain := s.log.undo() || s.activate() == nil
	return refusalOf(err, certain)
}

// activate makes sure that there is a segment to write to. A full one goes on
// while no new one can be made.
func (s *Spool) activate() error {
	if s.log.file != nil && s.log.durable < s.options.segmentBytes {
		return nil
	}
	h, err := s.log.rotate()
	if err == nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.addSegmentLocked(h)
		return nil
	}
	if s.log.file == nil {
		return err
	}
	return nil
}

// add adds a ticket's entry to the log.
func (s *Spool) add(t *ticket) {
	t.refusal = nil
	switch t.kind {
	case kindData:
		if err := s.log.room(t.header.size()); err != nil {
			t.refusal = refusalOf(err, true)
			return
		}
		t.at, t.header.position = s.log.size(), s.log.next
		s.log.appendBatch(t.header, t.batch)
	case kindAssign:
		s.log.scratch = appendAssign(s.log.scratch[:0], t.assign)
		s.log.appendJournal(kindAssign, s.log.scratch)
	case kindSettle:
		s.log.scratch = appendSettle(s.log.scratch[:0], t.settle)
		s.log.appendJournal(kindSettle, s.log.scratch)
	}
}

// refuse gives the error to those that are meant and returns the others.
func refuse(group []*ticket, err error, meant func(*ticket) bool) (others []*ticket) {
	for _, t := range group {
		if meant(t) {
			t.refusal = err
		} else {
			others = append(others, t)
		}
	}
	return others
}

// putBack lets settle entries wait for better times.
func (s *Spool) putBack(settles []*ticket) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		s.pending = append(settles, s.pending...)
	}
}

// answer tells whoever waits for one of the tickets, which is theirs again.
func (s *Spool) answer(group []*ticket) {
	for _, t := range group {
		if t.refusal != nil && t.kind == kindData {
			s.metrics.refusedFor(t.refusal)
		}
		if t.kind != kindSettle {
			t.done <- t.refusal
		}
	}
}
