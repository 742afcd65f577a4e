// Package lag reads from Kafka how far the consumers of many pipelines are
// behind, in records and in time. It knows nothing of Kubernetes.
//
// A partition's lag is what a reader of committed records could still read:
// from where everything before is done to the last stable offset. Done is what
// has been committed, or what the partition's owner says to have sealed, the
// further of both, and whatever the log no longer has: records that expired
// unread are lost, not late. Offsets without records at that place (control
// batches, aborted transactions) are done with, too. Who has committed nothing
// has the whole log before him.
package lag

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
)

// Query asks for one pipeline.
type Query struct {
	Topic string
	// TopicID is that of the topic which the pipeline has stored from; a topic
	// of another id is not read. uuid.Nil when it isn't known yet.
	TopicID uuid.UUID
	Group   string
	// Progress is what the partitions' owners have said before the query.
	Progress map[int32]Progress
}

// Progress is how far the owner of a partition has come.
type Progress struct {
	// Done is the offset before which everything is sealed, or without records.
	Done int64
	// Oldest is the ingest time of the first record from Done on, if the owner
	// has one.
	Oldest time.Time
}

// Result is the answer to a Query: a Reading, or an *Error.
type Result struct {
	Reading Reading
	Err     error
}

// Reading is what was found, sorted by partition.
type Reading struct {
	At         time.Time
	TopicID    uuid.UUID
	Partitions []Partition
}

// Partition is the state of one partition.
type Partition struct {
	ID int32
	// Start and End are the first offset of the log and the last stable one.
	Start, End int64
	// Done is the offset before which everything is done, from Start to End.
	Done int64
	// Oldest is the ingest time of the first record that isn't done; zero when
	// there is none, or it isn't known yet.
	Oldest time.Time
}

// Records are those that aren't done.
func (p Partition) Records() int64 { return p.End - p.Done }

// Records are those of all partitions that aren't done.
func (r Reading) Records() int64 {
	var sum int64
	for _, p := range r.Partitions {
		sum += p.Records()
	}
	return sum
}

// Ends is the sum of all partitions' ends: it grows as records arrive.
func (r Reading) Ends() int64 {
	var sum int64
	for _, p := range r.Partitions {
		sum += p.End
	}
	return sum
}

// Delay is how long the oldest record that isn't done has been in the log, 0
// without any. It isn't known while that of a partition isn't.
func (r Reading) Delay(now time.Time) (delay time.Duration, known bool) {
	for _, p := range r.Partitions {
		if p.Records() == 0 {
			continue
		}
		if p.Oldest.IsZero() {
			return 0, false
		}
		delay = max(delay, now.Sub(p.Oldest))
	}
	return delay, true
}

// locate says how far a partition is done. Committed is negative when nothing
// is.
func locate(id int32, start, end, committed int64, owner Progress) (Partition, error) {
	done := max(committed, owner.Done)
	if done > end {
		return Partition{}, &Error{LogTruncated, fmt.Errorf("partition %d: everything before offset %d is stored, but the log ends at %d: the topic was deleted and created again, or has lost records", id, done, end)}
	}
	p := Partition{ID: id, Start: start, End: end, Done: max(done, min(start, end))}
	if p.Done == owner.Done && p.Records() > 0 {
		p.Oldest = owner.Oldest
	}
	return p, nil
}

// look applies to a partition what was seen at its place. It returns false when
// that was elsewhere, or not enough.
func (p *Partition) look(s seen) bool {
	if p.Done < s.from || p.Done > s.until {
		return false
	}
	p.Done = min(max(p.Done, s.records), p.End)
	if p.Records() == 0 {
		return true
	}
	if p.Done < s.until {
		p.Oldest = s.oldest
	}
	return !p.Oldest.IsZero()
}

func sortPartitions(partitions []Partition) {
	slices.SortFunc(partitions, func(a, b Partition) int { return cmp.Compare(a.ID, b.ID) })
}
