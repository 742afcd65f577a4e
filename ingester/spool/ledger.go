package spool

import (
	"sort"
	"time"

	"github.com/logpipeline/logpipeline/ingester/record"
)

// ledger is what is known of the batches that aren't done. All of it is guarded
// by the spool's mu. In memory are only those that were fed and not settled.
type ledger struct {
	segments []*segment // in order; the writer appends to the last one
	stored   int64      // bytes of the segments, and of what was set aside
	end      uint64     // the position behind the last durable one
	fed      []*entry   // in the order of their positions; those that are done go lazily
	held     int64      // bytes of the queue that fed batches have
	waiting  map[uint64]*record.Batch
	sweepAt  int           // so many of waiting make us look for those nobody waits for
	cursor   *cursor       // nil: everything durable is fed
	allFed   chan struct{} // closed when that is so, and nothing is being written; nil: nobody asked
	earlier  earlier
}

// entry is a batch that was fed, or is part of a reopened record batch.
type entry struct {
	position uint64
	records  int
	received time.Time
	done     bool      // all of it is settled
	settled  runs[int] // while not all is
	assigned runs[int] // records that came back as reopened
	parts    *parts    // tells the batch's watcher; nil without one, or while it is whole
	feeding  feeding   // of a whole batch
}

// settle enters that records are done, of which fresh were not, and reports
// whether all are.
func (e *entry) settle(from, to int) (fresh int, done bool) {
	fresh = to - from - e.settled.size(from, to)
	if to-from < e.records {
		e.settled = e.settled.add(from, to)
	}
	e.done = to-from == e.records || e.settled.size(0, e.records) == e.records
	return fresh, e.done
}

// feeding watches a batch while it is in memory, and takes its bytes from the
// spool's share when it is completed. Whether it is settled as well is another
// question: one that is given up stays in the spool, not in memory.
type feeding struct {
	spool    *Spool
	reserved int64          // bytes of the queue
	watcher  record.Watcher // who else wants to know; may be nil
}

// Settled implements record.Watcher.
func (f *feeding) Settled(o record.Outcome) {
	f.spool.mu.Lock()
	f.spool.held -= f.reserved
	f.spool.mu.Unlock()
	f.spool.wakeFeeder()
	if f.watcher != nil {
		f.watcher.Settled(o)
	}
}

// watchLocked makes f the watcher of a batch that is fed.
func (s *Spool) watchLocked(f *feeding, b *record.Batch) {
	*f = feeding{s, b.Reserved, b.Watcher}
	b.Watcher = f
	s.held += b.Reserved
}

// cursor is where the feeder goes on.
type cursor struct {
	segment  *segment
	at       int64
	position uint64 // of the next data entry that it expects
}

func (l *ledger) entryLocked(position uint64) *entry {
	if e := l.earlier.reopened[position]; e != nil {
		return e
	}
	i := sort.Search(len(l.fed), func(i int) bool { return l.fed[i].position >= position })
	if i < len(l.fed) && l.fed[i].position == position && !l.fed[i].done {
		return l.fed[i]
	}
	return nil
}

// finish enters what has become durable. written is a part of the group.
func (s *Spool) finish(group, written []*ticket) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range group {
		if t.kind == kindData {
			s.admitted -= t.header.size()
		}
	}
	if len(written) > 0 {
		active := s.segments[len(s.segments)-1]
		s.stored += s.log.durable - active.size
		active.size = s.log.durable
	}
	for _, t := range written {
		switch {
		case t.refusal != nil:
		case t.kind == kindData:
			s.placeLocked(t)
		case t.kind == kindSettle:
			for _, section := range t.settle {
				s.settleLocked(section)
			}
		}
	}
	s.tellFedLocked()
}

// placeLocked enters a durable batch and feeds it, if it is its turn and there
// is room; otherwise its memory is given back.
func (s *Spool) placeLocked(t *ticket) {
	b, position := t.batch, t.header.position
	active := s.segments[len(s.segments)-1]
	active.data = active.data.add(position, position+1)
	active.undone++
	active.records += int64(b.Len())
	s.end = position + 1
	s.metrics.appended(b.Len(), b.Bytes())
	if s.cursor == nil && s.fitsLocked(b.Reserved) {
		e := &entry{position: position, records: b.Len(), received: b.Received}
		s.fed = append(s.fed, e)
		b.Position, b.FirstRecord = position, 0
		s.watchLocked(&e.feeding, b)
		err := s.queue.Put(b)
		if err == nil {
			return
		}
		b.Watcher, s.fed = e.feeding.watcher, s.fed[:len(s.fed)-1]
		s.held -= b.Reserved
		s.logger.Error("batch can't be put into the queue, and is read back later", "batch", b.ID, "error", err)
	}
	if s.cursor == nil {
		s.cursor = &cursor{active, t.at, position}
		s.wakeFeeder()
	}
	s.unloadLocked(b, position)
}

// fitsLocked reports whether n bytes of memory are left of the spool's share.
func (s *Spool) fitsLocked(n int64) bool { return s.held == 0 || s.held+n <= s.share }

// unloadLocked gives the memory of a batch back, but for what waits for it.
func (s *Spool) unloadLocked(b *record.Batch, position uint64) {
	if b.Account != nil {
		b.Account.Cancel(b.Reserved)
	}
	b.Account, b.Reserved = nil, 0
	b.Unload()
	if !b.Attended() {
		return
	}
	s.waiting[position] = b
	if len(s.waiting) < s.sweepAt {
		return
	}
	for position, b := range s.waiting {
		if !b.Attended() {
			delete(s.waiting, position)
		}
	}
	s.sweepAt = max(1024, 2*len(s.waiting))
}

// settleLocked enters that records are done.
func (s *Spool) settleLocked(section settledSection) {
	e := s.entryLocked(section.Position)
	if e == nil {
		return // settled twice
	}
	fresh, done := e.settle(section.From, section.To)
	s.doneLocked(e.position, int64(fresh), done)
	if !done {
		return
	}
	if s.earlier.reopened[e.position] == e {
		delete(s.earlier.reopened, e.position)
		s.earlier.settled = s.earlier.settled.add(e.position, e.position+1) // the feeder may yet come to it
	}
	s.popDoneLocked()
}

// popDoneLocked forgets the entries that are done at the front.
func (s *Spool) popDoneLocked() {
	n := 0
	for n < len(s.fed) && s.fed[n].done {
		s.fed[n] = nil
		n++
	}
	s.fed = s.fed[n:]
}

// doneLocked enters that records of an entry are done, and perhaps all of it.
func (s *Spool) doneLocked(position uint64, records int64, all bool) {
	for _, segment := range s.segments {
		if !segment.data.contains(position) {
			continue
		}
		segment.records -= records
		if all {
			segment.undone--
		}
		if segment.undone == 0 {
			segment.records = 0
		}
		return
	}
}

func (s *Spool) undoneLocked() (n uint64) {
	for _, segment := range s.segments {
		n += segment.undone
	}
	return n
}

// oldestLocked is when the oldest batch that isn't done was received; zero
// when there is none.
func (s *Spool) oldestLocked() (oldest time.Time) {
	consider := func(t time.Time) {
		if oldest.IsZero() || t.Before(oldest) {
			oldest = t
		}
	}
	if len(s.fed) > 0 {
		consider(s.fed[0].received)
	}
	for _, e := range s.earlier.reopened {
		consider(e.received)
	}
	if oldest.IsZero() && s.cursor != nil {
		consider(s.cursor.segment.created)
	}
	return oldest
}

func (s *Spool) addSegmentLocked(h fileHeader) {
	s.segments = append(s.segments, &segment{number: h.number, path: segmentPath(s.options.Dir, h.number), created: h.created, first: h.first, size: fileHeaderSize})
	s.stored += fileHeaderSize
}
