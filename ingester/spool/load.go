package spool

import (
	"fmt"
	"path/filepath"

	"github.com/logpipeline/logpipeline/ingester/record"
)

// earlier is what an earlier run has left of batches that aren't done. It is
// empty once the feeder is past them and the reopened ones are settled.
type earlier struct {
	end      uint64 // position behind the last one
	settled  runs[uint64]
	partial  map[uint64]settledRecords
	reopened map[uint64]*entry
}

// reopening is what Reopened returns, and the batches whose watchers it asks for.
type reopening struct {
	list   []record.Reopened
	wholes map[uint64]*record.Batch
	pieces map[uint64][]*record.Batch
}

// load reads the directory, mends it, and begins a new segment, with the room of
// those that are done.
func (s *Spool) load() error {
	v, err := takeSurvey(s.options.Dir)
	if err != nil {
		return err
	}
	if err := s.removeRemnants(v); err != nil {
		return err
	}
	s.keep(v)
	undone, incomplete := v.count()
	for _, o := range incomplete {
		s.logger.Error("record batch can't be resent as it was, because records of it are lost; the others are sent anew and may double", "partition", o.Partition, "producerID", o.ProducerID, "epoch", o.ProducerEpoch, "sequence", o.Sequence)
	}
	s.ledger = ledger{
		segments: v.segments, end: v.next, waiting: map[uint64]*record.Batch{}, sweepAt: 1024,
		earlier: earlier{end: v.next, settled: v.settled, partial: v.partial, reopened: map[uint64]*entry{}},
	}
	if s.stored, err = corruptBytes(s.options.Dir); err != nil {
		return err
	}
	s.log = appender{dir: s.options.Dir, reserve: s.options.reserve(), next: v.next, kept: v.next}
	for _, segment := range s.segments {
		s.stored += segment.size
		s.log.number, s.log.durable = segment.number, segment.size
	}
	if err := s.reopen(v); err != nil {
		return err
	}
	s.removeDone()
	if undone > 0 {
		s.cursor = &cursor{segment: s.segments[0], at: fileHeaderSize}
		s.logger.Info("the spool holds batches of an earlier run", "dir", s.options.Dir, "batches", undone, "recordBatchesInDoubt", len(s.reopening.list))
		s.metrics.replayed.Add(float64(undone))
	}
	return s.begin(v)
}

// keep reports damage and sets it aside. Where that fails, the segments stay
// until it succeeds.
func (s *Spool) keep(v *survey) {
	for _, segment := range v.segments {
		for _, d := range segment.damages {
			s.reportDamage(segment, *d)
		}
	}
}

func (s *Spool) reportDamage(segment *segment, d damage) {
	s.metrics.corrupt.Add(float64(max(1, d.lost.to-d.lost.from)))
	s.logger.Error("the spool is damaged; what can be read is delivered, a copy of the rest is kept", "file", segment.path, "damage", d.describe(), "kept", filepath.Join(s.options.Dir, corruptDir))
	if err := setAside(s.options.Dir, segment, d); err != nil {
		s.logger.Error("damage can't be set aside yet; its segment stays until it can", "error", err)
	}
}

// reopen reads the records of the assignments whose fate is open.
func (s *Spool) reopen(v *survey) error {
	s.reopening = reopening{wholes: map[uint64]*record.Batch{}, pieces: map[uint64][]*record.Batch{}}
	wanted := map[uint64]bool{}
	for _, o := range v.open {
		for _, section := range o.Sections {
			wanted[section.Position] = true
		}
	}
	read, err := v.readAll(wanted)
	if err != nil {
		return err
	}
	for _, o := range v.open {
		r, err := s.reopenOne(o.Assignment, read)
		if err != nil {
			s.logger.Error("record batch can't be resent as it was, and is sent anew; its records may double", "partition", o.Partition, "sequence", o.Sequence, "error", err)
			continue
		}
		s.reopening.list = append(s.reopening.list, r)
	}
	return nil
}

// reopenOne makes the batches of an assignment, and enters them once it has
// them all.
func (s *Spool) reopenOne(a record.Assignment, read map[uint64]stored) (r record.Reopened, err error) {
	r.Assignment = a
	for _, section := range a.Sections {
		e := read[section.Position]
		if section.From >= section.To || section.To > int(e.records) {
			return r, fmt.Errorf("it names records %d to %d of the batch at position %d, which has %d", section.From, section.To, section.Position, e.records)
		}
		b, err := e.batch(section.From, section.To)
		if err != nil {
			return r, err
		}
		r.Batches = append(r.Batches, b)
	}
	for i, section := range a.Sections {
		if err := s.enterReopened(read[section.Position], section, r.Batches[i]); err != nil {
			return r, err
		}
	}
	return r, nil
}

func (s *Spool) enterReopened(e stored, section record.AssignedSection, b *record.Batch) error {
	known := s.earlier.reopened[e.position]
	if known == nil {
		whole, err := e.batch(0, int(e.records))
		if err != nil {
			return err
		}
		known = &entry{position: e.position, records: int(e.records), received: e.meta.received, settled: s.earlier.partial[e.position].set}
		s.earlier.reopened[e.position], s.reopening.wholes[e.position] = known, whole
	}
	known.assigned = known.assigned.add(section.From, section.To)
	s.reopening.pieces[e.position] = append(s.reopening.pieces[e.position], b)
	if n := b.Memory(); s.account.Reserve(n) == nil { // a queue that has become smaller must not refuse them
		b.Account, b.Reserved = neverPut{s.account}, n
	}
	s.watchLocked(&feeding{}, b)
	return nil
}

// neverPut is the account of batches that don't go through the queue.
type neverPut struct{ record.Account }

// Release gives bytes back that were reserved and never put.
func (a neverPut) Release(n int64) { a.Cancel(n) }

// Reopened returns the record batches of earlier runs whose fate was open when
// those ended. Each goes out as it was, under its numbers, before anything else
// in its partition; afterwards it is settled like any other. Options.Recover is
// called for each batch that they have records of. The batches belong to the
// caller. It is called before Run, which feeds the other records of these
// batches; calling it again returns nothing.
func (s *Spool) Reopened() []record.Reopened {
	s.mu.Lock()
	defer s.mu.Unlock()
	for position, whole := range s.reopening.wholes {
		watcher := s.watcherOf(whole)
		if watcher == nil {
			continue
		}
		e, pieces := s.earlier.reopened[position], s.reopening.pieces[position]
		rest := e.settled.union(e.assigned).missing(e.records)
		e.parts = &parts{whole: watcher, left: len(pieces) + len(rest)}
		for _, b := range pieces {
			b.Watcher.(*feeding).watcher = e.parts.part(b.FirstRecord)
		}
	}
	list := s.reopening.list
	s.reopening = reopening{}
	return list
}

// watcherOf asks who watches a batch that comes from the disk.
func (s *Spool) watcherOf(whole *record.Batch) record.Watcher {
	if s.options.Recover != nil {
		s.options.Recover(whole)
	}
	return whole.Watcher
}
