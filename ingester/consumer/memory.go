package consumer

import (
	"context"
	"runtime"
	"sync"

	"golang.org/x/sync/semaphore"

	"github.com/logpipeline/logpipeline/ingester/config"
	"github.com/logpipeline/logpipeline/ingester/kafka"
)

const (
	// responseOverhead is more than a fetch response has beside its record
	// batches.
	responseOverhead = 16 << 10
	// maxDesks bounds how many responses are read at once. Each is work for
	// one core, until the disk is what all of them wait for.
	maxDesks = 4
	// deskBytes is what a desk takes for record batches of ordinary size:
	// decompressed, and as lines.
	deskBytes = 5 << 20
)

// fetchMemory bounds what all workers of a process hold of what they fetched:
// the responses in bytes, and by the number of desks what is decompressed of
// them. Nobody waits for bytes who holds any, and who has a desk waits for
// neither, so no two workers wait for each other; who waits is served in order.
//
// A partition without new records holds nothing.
type fetchMemory struct {
	total int64 // bytes
	whole int64 // bytes of the buffer for one full fetch
	free  *semaphore.Weighted
	desks chan *desk

	mu   sync.Mutex
	held int64    // bytes of the buffers in use
	idle [][]byte // buffers of whole bytes each
}

// desk is what it takes to turn record batches into lines.
type desk struct {
	decompressor kafka.Decompressor
	lines        lines
}

// newFetchMemory sets a part of the memory aside for the desks.
func newFetchMemory(cfg config.Consumer) *fetchMemory {
	desks := min(runtime.GOMAXPROCS(0), maxDesks)
	whole, total := int64(cfg.FetchMaxBytes)+responseOverhead, int64(cfg.FetchMaxTotalBytes)
	return newMemory(whole, total-min(int64(desks)*deskBytes, total/4), desks)
}

func newMemory(whole, total int64, desks int) *fetchMemory {
	total = max(whole, total)
	m := &fetchMemory{whole: whole, total: total, free: semaphore.NewWeighted(total), desks: make(chan *desk, desks)}
	for range desks {
		m.desks <- new(desk)
	}
	return m
}

// sit returns a desk, nil when ctx ends before one is free.
func (m *fetchMemory) sit(ctx context.Context) *desk {
	select {
	case d := <-m.desks:
		return d
	case <-ctx.Done():
		return nil
	}
}

func (m *fetchMemory) rise(d *desk) { m.desks <- d }

// take returns a buffer of n bytes.
func (m *fetchMemory) take(n int64) []byte {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.held += n
	if last := len(m.idle) - 1; last >= 0 && n == m.whole {
		buffer := m.idle[last]
		m.idle = m.idle[:last]
		return buffer
	}
	m.trim()
	return make([]byte, n)
}

func (m *fetchMemory) give(buffer []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.held -= int64(len(buffer))
	if int64(len(buffer)) == m.whole {
		m.idle = append(m.idle, buffer)
	}
	m.trim()
}

// trim keeps as many idle buffers as there is room for beside those in use, and
// little more than those, so that few are left when the work is done.
func (m *fetchMemory) trim() {
	most := int(min(m.total-m.held, m.held+m.whole) / m.whole)
	if most = max(most, 0); len(m.idle) > most {
		clear(m.idle[most:])
		m.idle = m.idle[:most]
	}
}

// share is what one worker holds of the fetch memory.
type share struct {
	memory   *fetchMemory
	reserved int64 // bytes
	lacking  int64 // bytes for which there was no room last time, or 0
	buffer   []byte
}

// reserve waits until there are bytes for a full fetch, or for the larger one
// that found no room last time. A batch that is larger than all the memory
// gets all of it.
func (s *share) reserve(ctx context.Context) error {
	n := min(max(s.memory.whole, s.lacking), s.memory.total)
	if err := s.memory.free.Acquire(ctx, n); err != nil {
		return err
	}
	s.reserved, s.lacking = n, 0
	return nil
}

// room is the Room of a kafka.FetchRequest. It does not wait: whoever gets nil
// has to reserve and to fetch again.
func (s *share) room(n int) []byte {
	size := int64(n)
	if size > s.memory.whole/2 {
		size = max(size, s.memory.whole) // of one size, to be used again
	}
	if !s.resize(min(size, s.memory.total)) {
		s.lacking = size
		return nil
	}
	s.buffer = s.memory.take(size)
	return s.buffer
}

func (s *share) resize(needed int64) bool {
	if missing := needed - s.reserved; missing > 0 && !s.memory.free.TryAcquire(missing) {
		return false
	} else if missing < 0 {
		s.memory.free.Release(-missing)
	}
	s.reserved = needed
	return true
}

// release gives everything back. Nothing may read the buffer any more.
func (s *share) release() {
	if s.buffer != nil {
		s.memory.give(s.buffer)
		s.buffer = nil
	}
	s.memory.free.Release(s.reserved)
	s.reserved = 0
}
