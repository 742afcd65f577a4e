package journal

import (
	"context"
	"time"

	"github.com/logpipeline/logpipeline/ingester/record"
)

// openTimeout is how long the start waits for the chain of a journal that can
// begin without.
const openTimeout = 5 * time.Second

// stopOther is the reason of a storage whose chain another journal has written.
const stopOther = "TopicRecreated"

// KnowsItsEnd reports whether the journal can take batches although its chain
// can't be asked where that ends.
func (j *Journal) KnowsItsEnd() bool { return j.certain }

// Open opens the chain, and tells the journal where that ends. A journal that
// knows by itself where it ends needs the chain only to be emptied: where the
// chain can't be opened now, that is left to Run, and Stopped says why. Otherwise
// the error is that of OpenChain, and so it is where the chain is another
// journal's.
func (s *Storer) Open(ctx context.Context) error {
	opening, cancel := context.WithTimeout(ctx, openTimeout)
	defer cancel()
	err := s.openChain(opening)
	reason, _ := record.StopReason(err)
	switch {
	case err == nil:
		return nil
	case !s.journal.certain || reason == stopOther || ctx.Err() != nil:
		return err
	}
	s.logger.Warn("records can't be stored yet; the journal takes them", "reason", reason, "error", err)
	s.stopped.Store(&err)
	s.journal.startBehind(0)
	s.postponed = true
	return nil
}

// goOnWithChain compares where the chain ends with where the journal did when
// this process began, once.
func (s *Storer) goOnWithChain() error {
	end, hinted := s.chain.NextOffset(), s.chain.HintedOffset()
	switch {
	case s.postponed && end > s.known:
		return &takenError{s.known}
	case hinted > max(end, s.known):
		if !s.postponed {
			s.journal.startBehind(hinted)
		}
		return &lostLinksError{end, hinted}
	case !s.postponed:
		s.journal.startBehind(end)
	}
	s.journal.release(end)
	s.opened = true
	s.stopped.Store(nil)
	return nil
}
