package spool

import (
	"cmp"
	"slices"

	"github.com/logpipeline/logpipeline/ingester/record"
)

// journal is what the assign and settle entries of a log add up to.
type journal struct {
	settled runs[uint64]              // positions of which all is settled
	partial map[uint64]settledRecords // of others
	open    []openAssignment          // in the order in which they were made
}

// settledRecords are those of an entry of so many.
type settledRecords struct {
	set     runs[int]
	records int
}

// openAssignment is one of which nothing is settled or assigned anew.
type openAssignment struct {
	record.Assignment
	sorted []record.AssignedSection // by position and record
}

// assign enters an assignment. It ends those that have records or numbers of
// it: the producer assigns such anew only when the broker has refused them.
func (j *journal) assign(a record.Assignment) {
	added := openAssignment{a, sortSections(a.Sections)}
	j.open = slices.DeleteFunc(j.open, func(o openAssignment) bool {
		return o.sameNumbers(added) || overlap(o.sorted, added.sorted)
	})
	if len(added.sorted) > 0 {
		j.open = append(j.open, added)
	}
}

// settle enters that records are done, and ends the assignments that have any
// of them.
func (j *journal) settle(sections []settledSection) {
	plain := make([]record.AssignedSection, len(sections))
	for i, s := range sections {
		plain[i] = s.AssignedSection
		j.settleSection(s)
	}
	plain = sortSections(plain)
	j.open = slices.DeleteFunc(j.open, func(o openAssignment) bool { return overlap(o.sorted, plain) })
}

// unsettled is how many records of a section aren't settled yet.
func (j *journal) unsettled(s settledSection) int {
	if j.settled.contains(s.Position) {
		return 0
	}
	return s.To - s.From - j.partial[s.Position].set.size(s.From, s.To)
}

func (j *journal) settleSection(s settledSection) {
	p := j.partial[s.Position]
	p.set, p.records = p.set.add(s.From, s.To), s.records
	if p.set.size(0, p.records) == p.records {
		delete(j.partial, s.Position)
		j.settled = j.settled.add(s.Position, s.Position+1)
		return
	}
	if j.partial == nil {
		j.partial = map[uint64]settledRecords{}
	}
	j.partial[s.Position] = p
}

func (o openAssignment) sameNumbers(p openAssignment) bool {
	return o.Partition == p.Partition && o.ProducerID == p.ProducerID && o.ProducerEpoch == p.ProducerEpoch && o.Sequence == p.Sequence
}

func sortSections(sections []record.AssignedSection) []record.AssignedSection {
	sorted := slices.Clone(sections)
	slices.SortFunc(sorted, func(a, b record.AssignedSection) int {
		return cmp.Or(cmp.Compare(a.Position, b.Position), cmp.Compare(a.From, b.From))
	})
	return sorted
}

// overlap reports whether two lists, each sorted, have a record in common.
func overlap(a, b []record.AssignedSection) bool {
	for len(a) > 0 && len(b) > 0 {
		switch {
		case a[0].Position == b[0].Position && a[0].From < b[0].To && b[0].From < a[0].To:
			return true
		case a[0].Position < b[0].Position || a[0].Position == b[0].Position && a[0].To <= b[0].To:
			a = a[1:]
		default:
			b = b[1:]
		}
	}
	return false
}
