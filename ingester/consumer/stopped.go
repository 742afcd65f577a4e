package consumer

import (
	"fmt"
	"maps"
	"slices"
	"sync"
)

// stoppedPartitions are those of this member that can't go on, with why.
type stoppedPartitions struct {
	mu      sync.Mutex
	reasons map[int32]error
}

func (s *stoppedPartitions) add(partition int32, reason error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.reasons == nil {
		s.reasons = map[int32]error{}
	}
	s.reasons[partition] = reason
}

func (s *stoppedPartitions) remove(partition int32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.reasons, partition)
}

// Stopped is nil as long as every partition of this member goes on. Otherwise
// it tells how many have stopped, and why the first of them has: what is
// written to them stays in Kafka until somebody acts.
func (c *Consumer) Stopped() error {
	c.stopped.mu.Lock()
	defer c.stopped.mu.Unlock()
	if len(c.stopped.reasons) == 0 {
		return nil
	}
	first := slices.Min(slices.Collect(maps.Keys(c.stopped.reasons)))
	return fmt.Errorf("%d partitions of topic %q are stopped, partition %d because: %w",
		len(c.stopped.reasons), c.config.Topic, first, c.stopped.reasons[first])
}
