package spool

import (
	"context"
	"errors"

	"os"
	"time"

	"github.com/logpipeline/logpipeline/ingester/record"
)

// roomInterval is how often the queue is asked again for memory that others
// hold, who tell nobody when they give it back.
const roomInterval = 50 * time.Millisecond

// feed reads batches back from the disk, in order, and puts them into the queue
// as it has room, until ctx ends or the queue is closed.
func (s *Spool) feed(ctx context.Context) {
	f := feeder{Spool: s}
	defer f.close()
	for {
		s.mu.Lock()
		c := s.cursor
		s.mu.Unlock()
		switch {
		case c == nil:
			f.close() // or a segment that is removed would keep its room
			select {
			case <-s.room:
			case <-ctx.Done():
				return
			}
		case !f.step(ctx, c):
			return
		}
	}
}

// feeder is what reads at the cursor, which only it moves once it is set.
type feeder struct {
	*Spool
	file   *os.File
	reader *reader
	lost   []*record.Batch // to be told
}

func (f *feeder) close() {
	if f.file != nil {
		_ = f.file.Close() // it was only read
		f.file, f.reader = nil, nil
	}
}

// step goes on by one entry, or to the next segment. It is false when there is
// no more to do.
func (f *feeder) step(ctx context.Context, c *cursor) bool {
	if ctx.Err() != nil {
		return false
	}
	end := f.endOf(c.segment)
	if c.at >= end {
		f.nextSegment(c)
		f.tellLost()
		return true
	}
	if to := c.segment.damagedTo(c.at); to > c.at {
		f.advance(c, to, c.position)
		return true
	}
	if err := f.open(c.segment, end); err != nil {
		f.trouble.Do(func() { f.logger.Error("segment of the spool can't be opened", "error", err) })
		return pause(ctx, time.Second)
	}
	h, err := f.reader.headerAt(c.at)
	if err != nil {
		f.pass(c)
		return true
	}
	f.reach(c, h.position)
	if h.kind == kindData {
		return f.feedEntry(ctx, c, h)
	}
	f.advance(c, c.at+h.size(), h.position)
	return true
}

func (f *feeder) endOf(s *segment) int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return s.size
}

// open makes the reader one of the segment up to its end.
func (f *feeder) open(s *segment, end int64) error {
	if f.reader != nil && f.reader.segment == s.number {
		f.reader.end = end
		return nil
	}
	f.close()
	file, err := os.Open(s.path)
	if err != nil {
		return err
	}
	f.file, f.reader = file, newReader(file, s.number, end)
	return nil
}

// reserve waits for n bytes of the queue within the spool's share. It is false
// when ctx has ended or the queue is closed.
func (f *feeder) reserve(ctx context.Context, n int64, h header) bool {
	for ctx.Err() == nil {
		f.mu.Lock()
		fits := f.fitsLocked(n)
		f.mu.Unlock()
		var err error
		if fits {
			err = f.account.Reserve(n)
		}
		switch {
		case fits && err == nil:
			return true
		case errors.Is(err, record.ErrClosed):
			return false
		case errors.Is(err, record.ErrNeverFits):
			f.trouble.Do(func() {
				f.logger.Error("a batch of the spool doesn't fit into the queue, and all that follow wait behind it: raise queue.maxBytes", "position", h.position, "bytes", n, "error", err)
			})
		}
		f.awaitRoom(ctx)
	}
	return false
}

func (f *feeder) awaitRoom(ctx context.Context) {
	timer := time.NewTimer(roomInterval)
	defer timer.Stop()
	select {
	case <-f.room:
	case <-timer.C:
	case <-ctx.Done():
	}
}

func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// nextSegment moves the cursor behind the end of its segment, if it still is
// the end.
func (f *feeder) nextSegment(c *cursor) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i, s := range f.segments {
		if s != c.segment || c.at < s.size {
			continue
		}
		if i+1 < len(f.segments) {
			c.segment, c.at = f.segments[i+1], fileHeaderSize
			return
		}
		f.reachLocked(c, f.end)
		f.cursor = nil
		f.earlier.settled, f.earlier.partial = nil, nil
		f.tellFedLocked()
		return
	}
}

func (f *feeder) advance(c *cursor, at int64, position uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.advanceLocked(c, at, position)
}

func (f *feeder) advanceLocked(c *cursor, at int64, position uint64) {
	c.at, c.position = at, max(c.position, position)
	if position >= f.earlier.end {
		f.earlier.settled, f.earlier.partial = nil, nil
	}
}

func (s *Spool) wakeFeeder() {
	select {
	case s.room <- struct{}{}:
	default:
	}
}

// awaitFedLocked returns what is closed once all that was appended is fed.
func (s *Spool) awaitFedLocked() <-chan struct{} {
	if s.allFed == nil {
		s.allFed = make(chan struct{})
	}
	fed := s.allFed
	s.tellFedLocked()
	return fed
}

func (s *Spool) tellFedLocked() {
	if s.allFed != nil && s.cursor == nil && s.admitted == 0 {
		close(s.allFed)
		s.allFed = nil
	}
}
