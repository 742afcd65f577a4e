package journal

import (
	"context"
	"time"
)

// Reasons to seal, beside those of the chain.
const (
	sealShutdown = "shutdown"
	sealDamage   = "damage"
	sealJournal  = "journal" // it is a good part full of what is appended
)

// gapReason is what the chain says of offsets that are not stored.
const gapReason = "the records could not be read in the journal, or are no longer in it; what could not be read is kept in its folder corrupt"

// seal seals what is appended, and has the journal let go of it.
func (s *Storer) seal(ctx context.Context, reason string) error {
	sealing, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	next := s.chain.NextOffset()
	sealed, err := s.chain.Seal(sealing)
	if err == nil && (s.appended > 0 && !sealed || s.chain.NextOffset() != next) {
		err = &takenError{next}
	}
	if err != nil {
		return err
	}
	if sealed {
		s.journal.metrics.sealed.WithLabelValues(reason).Inc()
	}
	s.appended = 0
	s.trouble.over()
	s.journal.release(next)
	s.retain(ctx)
	return nil
}

// recordGap says in the chain that records are lost.
func (s *Storer) recordGap(ctx context.Context, next int64) error {
	if err := s.seal(ctx, sealDamage); err != nil {
		return err
	}
	from := s.chain.NextOffset()
	recording, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	recorded, err := s.chain.RecordGap(recording, next, gapReason)
	if err == nil && !recorded {
		err = &takenError{from}
	}
	if err != nil {
		return err
	}
	s.journal.metrics.lost.Add(float64(next - from))
	s.logger.Error("records of the journal are lost; their offsets are recorded as a gap", "firstOffset", from, "nextOffset", next)
	s.journal.release(next)
	return nil
}

// retain removes what the retention no longer keeps. What it could not remove,
// it will the next time.
func (s *Storer) retain(ctx context.Context) {
	if err := s.chain.Retain(ctx, time.Now(), s.keep); err != nil {
		s.logger.Warn("stored segments cannot be removed yet", "error", err)
	}
}
