package segment

import "sync"

// space is what the open segments of a store take in staging. When it is more
// than configured, the largest of them is due.
type space struct {
	mu    sync.Mutex
	taken map[*pending]int64 // bytes, as stored
	total int64
}

func (s *space) take(p *pending, bytes int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.taken == nil {
		s.taken = map[*pending]int64{}
	}
	s.total += bytes - s.taken[p]
	s.taken[p] = bytes
}

func (s *space) give(p *pending) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.total -= s.taken[p]
	delete(s.taken, p)
}

// exceeds reports whether more than limit is taken, and by no segment more than
// by p.
func (s *space) exceeds(limit int64, p *pending) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.total <= limit {
		return false
	}
	for _, bytes := range s.taken {
		if bytes > s.taken[p] {
			return false
		}
	}
	return true
}
