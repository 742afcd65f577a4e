package spool

import (
	"errors"
	"io"
)

// pass moves the cursor behind what could still be read when the spool was
// opened or written, and now can't.
func (f *feeder) pass(c *cursor) {
	_, next, err := f.reader.next(c.at)
	var found *damageError
	if errors.As(err, &found) {
		f.reportDamage(c.segment, found.damage)
		f.mu.Lock()
		c.segment.damages = append(c.segment.damages, &found.damage)
		f.mu.Unlock()
	}
	if err == nil || errors.Is(err, io.EOF) { // the disk has read it this time
		return
	}
	f.advance(c, next, c.position)
}

// reach enters that the next data entry is at a position.
func (f *feeder) reach(c *cursor, position uint64) {
	if position <= c.position {
		return
	}
	f.mu.Lock()
	f.reachLocked(c, position)
	f.mu.Unlock()
	f.tellLost()
}

// tellLost tells those who wait for batches that were found to be lost.
func (f *feeder) tellLost() {
	for _, b := range f.lost {
		b.Complete(unreadable("its segment is damaged"))
	}
	f.lost = nil
}

// reachLocked enters that the entries between the cursor and a position can't
// be read any more, though they were there when the spool was opened or
// written.
func (f *feeder) reachLocked(c *cursor, position uint64) {
	for p := max(c.position, f.firstLocked()); p < position; p++ {
		f.loseLocked(p)
	}
	c.position = max(c.position, position)
}

// firstLocked is the first position of which anything is known.
func (f *feeder) firstLocked() uint64 {
	for _, s := range f.segments {
		if len(s.data) > 0 {
			return s.data[0].from
		}
	}
	return f.end
}

// loseLocked enters that a batch is lost; what is kept of it is in corrupt/.
func (f *feeder) loseLocked(position uint64) {
	if f.earlier.settled.contains(position) {
		return
	}
	if b := f.waiting[position]; b != nil {
		delete(f.waiting, position)
		f.lost = append(f.lost, b)
	}
	if known := f.earlier.reopened[position]; known != nil {
		for _, one := range known.assigned.missing(known.records) {
			known.settle(one.from, one.to)
		}
		if !known.done {
			return
		}
		delete(f.earlier.reopened, position)
	}
	f.doneLocked(position, 0, true)
}
