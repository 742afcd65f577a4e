package consumer

import (
	"cmp"
	"math"
	"slices"
	"time"

	"github.com/logpipeline/logpipeline/ingester/signal"
)

// Signals is what this member knows of itself and of the partitions that it
// owns in the group's current generation; none between two generations. A
// partition whose chain has not been opened yet is left out, and one that
// stopped at that has offsets of -1. It is cheap, and may be called by any
// goroutine.
func (c *Consumer) Signals() signal.Consumer {
	s := c.standings
	s.mu.Lock()
	defer s.mu.Unlock()
	signals := signal.Consumer{
		Group: s.group, MemberID: s.memberID, Generation: s.generation, TopicID: s.topicID,
		AppendedRecords: s.appended, BusySeconds: s.busyFor().Seconds(),
		Partitions: make([]signal.Partition, 0, len(s.partitions)),
	}
	failing := int32(math.MaxInt32) // the first of them is told of
	for partition, p := range s.partitions {
		if p.failure != nil && partition < failing {
			failing, signals.StoreFailure = partition, p.failure.Error()
		}
		if p.known || p.stopped != nil {
			signals.Partitions = append(signals.Partitions, p.signal(partition))
		}
	}
	slices.SortFunc(signals.Partitions, func(a, b signal.Partition) int { return cmp.Compare(a.Partition, b.Partition) })
	return signals
}

func (s *standing) signal(partition int32) signal.Partition {
	signals := signal.Partition{Partition: partition, SealedOffset: -1, NextOffset: -1, Stopped: s.reason}
	if s.stopped != nil {
		signals.StoppedMessage = s.stopped.Error()
	}
	if s.known {
		signals.SealedOffset, signals.NextOffset = s.sealed, s.next
	}
	if s.unsealed != 0 {
		first := time.UnixMilli(s.unsealed).UTC()
		signals.FirstUnsealed = &first
	}
	return signals
}

// busyFor is called with the lock held.
func (s *standings) busyFor() time.Duration {
	if s.busy == 0 {
		return s.busyBefore
	}
	return s.busyBefore + time.Since(s.busySince)
}
