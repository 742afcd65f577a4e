package consumer

import (
	"fmt"
	"sync"
	"time"

	"github.com/logpipeline/logpipeline/ingester/record"
)

// standings are what the workers of the current generation say of their
// partitions, for those who ask from other goroutines: Signals, Stopped, and
// the metrics. Between two generations there are none.
type standings struct {
	group string

	mu         sync.Mutex
	generation int32 // -1 while there is none
	memberID   string
	topicID    string
	partitions map[int32]*standing
	appended   int64 // records since the start
	busy       int   // partitions
	busySince  time.Time
	busyBefore time.Duration // that is over
	retention  retention
}

// standing is how far one partition has come. Times are in milliseconds since
// the Unix epoch, by the records' timestamps; 0 is none.
type standing struct {
	known        bool  // the chain has been opened: the offsets are true
	sealed, next int64 // offsets
	unsealed     int64 // time of the first record that is written and not sealed
	waiting      int64 // time of the first record that has been fetched, while none is written
	lag          int64 // records, -1 while it is not known
	busy         bool
	failure      *storeError // lasts, and is tried again
	stopped      error
	reason       string
}

// oldest is the time of the oldest record known that is not stored for good.
func (s *standing) oldest() int64 {
	if s.unsealed != 0 {
		return s.unsealed
	}
	return s.waiting
}

func newStandings(group string) *standings {
	return &standings{group: group, generation: -1, retention: retention{unknown: true}}
}

func (s *standings) begin(generation int32, memberID string, partitions []int32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.generation, s.memberID, s.partitions = generation, memberID, map[int32]*standing{}
	for _, p := range partitions {
		s.partitions[p] = &standing{lag: -1}
	}
}

func (s *standings) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.generation, s.memberID, s.partitions = -1, "", nil
	s.countBusy(-s.busy)
}

// tell changes the standing of one partition.
func (w *worker) tell(change func(*standing)) {
	s := w.standings
	s.mu.Lock()
	defer s.mu.Unlock()
	if p := s.partitions[w.partition]; p != nil {
		change(p)
	}
}

// tellSealed: the chain ends there, and nothing is written beyond.
func (w *worker) tellSealed(offset int64) {
	w.tell(func(p *standing) {
		p.known, p.sealed, p.next = true, offset, offset
		p.unsealed, p.waiting = 0, 0
	})
}

func (w *worker) tellAppended(span record.Span) {
	w.tell(func(p *standing) {
		p.next, p.waiting = span.NextOffset, 0
		if p.unsealed == 0 && span.Records > 0 {
			p.unsealed = span.FirstTimestamp
		}
		w.standings.appended += span.Records
	})
}

// tellGivenUp: what was written and not sealed will be fetched again.
func (w *worker) tellGivenUp() {
	w.tell(func(p *standing) {
		p.waiting, p.unsealed = p.oldest(), 0
		p.next = p.sealed
	})
}

func (w *worker) tellFetched(first int64) {
	w.tell(func(p *standing) {
		if p.oldest() == 0 {
			p.waiting = first
		}
	})
}

func (w *worker) tellTopic(id string) {
	w.tell(func(*standing) { w.standings.topicID = id })
}

func (w *worker) tellLag(records int64) { w.tell(func(p *standing) { p.lag = max(0, records) }) }

// tellBusy: there is more to read, or not, than was fetched.
func (w *worker) tellBusy(busy bool) {
	w.tell(func(p *standing) {
		switch {
		case busy && !p.busy:
			w.standings.countBusy(1)
		case !busy && p.busy:
			w.standings.countBusy(-1)
		}
		p.busy = busy
	})
}

// countBusy is called with the lock held.
func (s *standings) countBusy(change int) {
	now := time.Now()
	if s.busy > 0 && s.busy+change == 0 {
		s.busyBefore += now.Sub(s.busySince)
	}
	if s.busy == 0 && change > 0 {
		s.busySince = now
	}
	s.busy += change
}

func (w *worker) tellStopped(reason string, err error) {
	w.tell(func(p *standing) {
		p.reason, p.stopped = reason, err
		if p.oldest() == 0 { // what waits, or was removed, is older than this
			p.waiting = time.Now().UnixMilli()
		}
	})
}

// Stopped is nil as long as every partition of this member goes on. Otherwise
// it tells how many have stopped, and why the first of them has: what is
// written to them stays in Kafka until somebody acts.
func (c *Consumer) Stopped() error {
	s := c.standings
	s.mu.Lock()
	defer s.mu.Unlock()
	first, stopped := int32(-1), 0
	for partition, p := range s.partitions {
		if p.stopped == nil {
			continue
		}
		stopped++
		if first < 0 || partition < first {
			first = partition
		}
	}
	if stopped == 0 {
		return nil
	}
	return fmt.Errorf("%d partitions of topic %q are stopped, partition %d because: %w", stopped, c.config.Topic, first, s.partitions[first].stopped)
}
