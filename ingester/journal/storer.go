package journal

import (
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/logpipeline/logpipeline/ingester/config"
	"github.com/logpipeline/logpipeline/ingester/record"
)

// Chain is where the records are stored. After an error from Append, Seal or
// RecordGap it is closed and opened anew.
type Chain interface {
	// NextOffset is the offset of the next record to append.
	NextOffset() int64
	// HintedOffset is where the storage remembers that the chain once ended; it
	// is behind NextOffset only where links have been lost. 0: it doesn't.
	HintedOffset() int64
	// Append adds a run of offsets and the lines of its records.
	Append(lines []byte, span record.Span) error
	// Due is why the segment must be sealed before next is appended, or "".
	Due(now time.Time, next record.Span) string
	// Seal stores what has been appended, and reports whether it did.
	Seal(ctx context.Context) (sealed bool, err error)
	// RecordGap says of the offsets from NextOffset up to next that their
	// records are not stored. Nothing may be pending.
	RecordGap(ctx context.Context, next int64, reason string) (recorded bool, err error)
	// Retain removes what the limits no longer keep; an error harms nothing.
	Retain(ctx context.Context, now time.Time, limits config.Retention) error
	// Close gives up what is not sealed.
	Close() error
}

// OpenChain opens the journal's chain; one that does not exist yet begins at an
// offset. An error with a method StopReason() string is one that trying again
// doesn't mend.
type OpenChain func(ctx context.Context, id string, first int64) (Chain, error)

// dueInterval is how often an open segment is asked whether it is due.
const dueInterval = 100 * time.Millisecond

// Storer brings what the journal holds into its chain. While the storage takes
// nothing the journal keeps it, and refuses batches once it is full; the Storer
// tries again, for ever, and goes on where the chain ends.
type Storer struct {
	journal *Journal
	open    OpenChain
	keep    config.Retention
	timeout time.Duration // of one seal
	logger  *slog.Logger
	trouble trouble

	chain    Chain // nil while it has to be opened
	cursor   cursor
	appended int64 // bytes since the last seal
	stopped  atomic.Pointer[error]

	known     int64 // where the journal ended when the process began
	postponed bool  // the journal has begun before the chain was opened
	opened    bool  // the chain was, and agrees with the journal
}

// NewStorer returns a storer that keeps what retention says. A seal may take so
// long as timeout says.
func NewStorer(j *Journal, open OpenChain, keep config.Retention, timeout time.Duration, logger *slog.Logger) *Storer {
	return &Storer{journal: j, open: open, keep: keep, timeout: timeout, logger: logger, trouble: trouble{logger: logger}, cursor: cursor{journal: j}, known: j.end}
}

// Stopped is nil while records can be stored, and otherwise why they can't be
// until somebody acts.
func (s *Storer) Stopped() error {
	if err := s.stopped.Load(); err != nil {
		return *err
	}
	return nil
}

// Run stores until the journal has ended and everything in it is sealed, or
// until ctx ends. The error says how much stays in the journal, for the next
// start. It is called once, after Open.
func (s *Storer) Run(ctx context.Context) error {
	defer s.closeChain()
	for ctx.Err() == nil {
		err := s.store(ctx)
		if err == nil {
			return nil
		}
		s.closeChain()
		if s.journal.ended() && s.journal.unsealed() == 0 {
			return nil
		}
		if reason, stops := record.StopReason(err); stops {
			s.standStill(ctx, reason, err)
			return s.left(err)
		}
		if !s.opened {
			s.stopped.Store(&err)
		}
		s.trouble.waitAfter(ctx, "records of the journal can't be stored", err)
	}
	return s.left(ctx.Err())
}

func (s *Storer) left(why error) error {
	return fmt.Errorf("store the journal %s: %d records stay in it, and the next start stores them: %w", s.journal.options.Dir, s.journal.unsealed(), why)
}

// standStill waits for the end: the journal goes on taking what it has room for.
func (s *Storer) standStill(ctx context.Context, reason string, err error) {
	s.logger.Error("storing has stopped; the journal keeps the records", "reason", reason, "error", err)
	s.journal.metrics.stopped.Set(1)
	s.stopped.Store(&err)
	for !s.journal.ended() {
		select {
		case <-s.journal.wake:
		case <-ctx.Done():
			return
		}
	}
}

// store returns nil once the journal has ended and all of it is sealed.
func (s *Storer) store(ctx context.Context) error {
	if s.chain == nil {
		if err := s.openChain(ctx); err != nil {
			return err
		}
	}
	for ctx.Err() == nil {
		ended := s.journal.ended() // before it is read to its end
		f, more, end, err := s.cursor.next(s.chain.NextOffset())
		switch {
		case err != nil:
			return err
		case more:
			err = s.append(ctx, f)
		case s.chain.NextOffset() < end:
			err = s.recordGap(ctx, end)
		case ended:
			return s.seal(ctx, sealShutdown)
		default:
			err = s.idle(ctx)
		}
		if err != nil {
			return err
		}
	}
	return ctx.Err()
}

// append appends what the chain doesn't have of an entry. Offsets that are
// missing before it can't be read.
func (s *Storer) append(ctx context.Context, f found) error {
	if f.first > s.chain.NextOffset() {
		if err := s.recordGap(ctx, f.first); err != nil {
			return err
		}
	}
	err := f.lines(s.chain.NextOffset(), func(lines []byte, span record.Span) error {
		if err := s.sealIfDue(ctx, span); err != nil {
			return err
		}
		s.appended += int64(len(lines))
		return s.chain.Append(lines, span)
	})
	if err == nil {
		s.cursor.advance(f)
	}
	return err
}

// idle waits for the journal, or until the open segment may be due.
func (s *Storer) idle(ctx context.Context) error {
	if err := s.sealIfDue(ctx, record.Span{}); err != nil {
		return err
	}
	var tick <-chan time.Time
	if s.appended > 0 {
		timer := time.NewTimer(dueInterval)
		defer timer.Stop()
		tick = timer.C
	}
	select {
	case <-s.journal.wake:
	case <-tick:
	case <-ctx.Done():
	}
	return nil
}

func (s *Storer) sealIfDue(ctx context.Context, next record.Span) error {
	reason := s.chain.Due(time.Now(), next)
	if reason == "" && s.appended > s.journal.options.MaxBytes/sealingParts {
		reason = sealJournal
	}
	if reason == "" {
		return nil
	}
	return s.seal(ctx, reason)
}

// openChain also retains: where the disk is full, that may be what makes room.
func (s *Storer) openChain(ctx context.Context) (err error) {
	s.chain, err = s.open(ctx, s.journal.id, s.journal.First())
	if err != nil {
		s.chain = nil
		return err
	}
	if !s.opened {
		if err := s.goOnWithChain(); err != nil {
			s.closeChain()
			return err
		}
	}
	s.logger.Info("chain opened", "offset", s.chain.NextOffset())
	s.retain(ctx)
	return nil
}

func (s *Storer) closeChain() {
	s.cursor.close()
	s.appended = 0
	if s.chain == nil {
		return
	}
	if err := s.chain.Close(); err != nil {
		s.logger.Warn("segment can't be given up in order; the next start does so", "error", err)
	}
	s.chain = nil
}
