package spool

import (
	"fmt"
	"os"

	"github.com/logpipeline/logpipeline/ingester/durable"
)

// removeDone removes the segments from the front of which nothing is needed any
// more, the directory synced behind each, and gives the journal of their room
// what it lacks, before others fill it. A failure leaves it for later.
func (s *Spool) removeDone() {
	for first := s.removable(); first != nil; first = s.removable() {
		if err := s.remove(first); err != nil {
			s.trouble.Do(func() { s.logger.Error("segment of the spool can't be removed", "error", err) })
			return
		}
		s.log.replenish()
		s.mu.Lock()
		s.segments = s.segments[1:]
		s.stored -= first.size
		s.mu.Unlock()
	}
}

// removable is the first segment, if nothing in it is needed any more.
func (s *Spool) removable() *segment {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.segments) < 2 { // the last one is written to
		return nil
	}
	first := s.segments[0]
	if first.undone > 0 || s.cursor != nil && s.cursor.segment == first {
		return nil
	}
	return first
}

// remove removes a segment, once what could not be read of it is set aside.
func (s *Spool) remove(done *segment) error {
	for _, d := range done.damages {
		if err := setAside(s.options.Dir, done, *d); err != nil {
			return err
		}
	}
	if err := os.Remove(done.path); err != nil && !os.IsNotExist(err) {
		return fmt.Errorf("remove segment: %w", err)
	}
	return durable.SyncDir(s.options.Dir)
}
