package consumer

import (
	"context"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/logpipeline/logpipeline/ingester/config"
)

const (
	testFetch = 64 << 10
	testWhole = testFetch + responseOverhead
)

func newTestMemory(fetches int64) *fetchMemory {
	return newMemory(testWhole, fetches*testWhole, 2)
}

func TestRoomOfAShare(t *testing.T) {
	for name, test := range map[string]struct {
		reserves bool
		taken    int64 // by others
		asked    int
		given    int
		reserved int64
	}{
		"little, where nothing is reserved":     {false, 0, 100, 100, 100},
		"a full fetch gets a buffer for all":    {false, 0, testFetch, testWhole, testWhole},
		"little, and the rest is given back":    {true, 0, 100, 100, 100},
		"what was reserved, when all is taken":  {true, testWhole, testFetch, testWhole, testWhole},
		"more than was reserved":                {true, 0, testWhole + 1, testWhole + 1, testWhole + 1},
		"more than was reserved, all is taken":  {true, testWhole, testWhole + 1, 0, testWhole},
		"little, when all is taken":             {false, 2 * testWhole, 100, 0, 0},
		"more than all, when nothing is taken":  {true, 0, 10 * testWhole, 10 * testWhole, 2 * testWhole},
		"more than all, when something is":      {false, 1, 10 * testWhole, 0, 0},
		"more than all, when all others wait":   {true, testWhole, 10 * testWhole, 0, testWhole},
		"as much as a whole fetch, and no less": {false, testWhole, testWhole, testWhole, testWhole},
	} {
		t.Run(name, func(t *testing.T) {
			m := newTestMemory(2)
			m.free.TryAcquire(test.taken)
			s := share{memory: m}
			if test.reserves {
				if err := s.reserve(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			if got := len(s.room(test.asked)); got != test.given || s.reserved != test.reserved {
				t.Errorf("room of %d bytes with %d reserved, want %d with %d", got, s.reserved, test.given, test.reserved)
			}
			if lacking := s.lacking > 0; lacking != (test.given == 0) {
				t.Errorf("%d bytes are lacking", s.lacking)
			}
			s.release()
			if m.held != 0 || len(m.idle) > 1 {
				t.Errorf("%d bytes are in use, and %d buffers kept", m.held, len(m.idle))
			}
			if !m.free.TryAcquire(m.total - test.taken) {
				t.Error("not everything was given back")
			}
		})
	}
}

// What is decompressed is within the bound too, as long as record batches are
// of ordinary size, and one fetch is always possible.
func TestDesksAreWithinTheMemory(t *testing.T) {
	for _, test := range []struct{ each, total, least, most int64 }{
		{4 << 20, 64 << 20, 44 << 20, 59 << 20},
		{4 << 20, 4 << 20, 4<<20 + responseOverhead, 4<<20 + responseOverhead},
		{1 << 20, 8 << 20, 6 << 20, 6 << 20},
	} {
		m := newFetchMemory(config.Consumer{FetchMaxBytes: config.Bytes(test.each), FetchMaxTotalBytes: config.Bytes(test.total)})
		if m.total < test.least || m.total > test.most {
			t.Errorf("%d bytes are for fetches of %d, of %d in all: want %d to %d", m.total, test.each, test.total, test.least, test.most)
		}
	}
}

// TestLargeBatchIsNotOvertaken: who lacks all the memory gets it before those
// who ask for less later.
func TestLargeBatchIsNotOvertaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newTestMemory(2)
		first, large, late := share{memory: m}, share{memory: m}, share{memory: m}
		reserve := func(s *share) {
			if err := s.reserve(t.Context()); err != nil {
				t.Error(err)
			}
		}
		reserve(&first)
		if large.room(10*testWhole) != nil {
			t.Fatal("there is no room for it")
		}
		go reserve(&large)
		synctest.Wait()
		go reserve(&late)
		synctest.Wait()
		if late.room(1) != nil || large.reserved+late.reserved > 0 {
			t.Fatalf("%d bytes for the large, %d for the late one, want none while the first is there", large.reserved, late.reserved)
		}
		first.release()
		synctest.Wait()
		if large.reserved != m.total || late.reserved != 0 || large.room(10*testWhole) == nil {
			t.Fatalf("%d bytes for the large, %d for the late one, want all for the large", large.reserved, late.reserved)
		}
		large.release()
		synctest.Wait()
		late.release()
	})
}

// TestSharesNeverExceedTheTotalNorStall: many workers fetch as the worker
// does, and every one of them gets through all of its batches.
func TestSharesNeverExceedTheTotalNorStall(t *testing.T) {
	m := newTestMemory(3)
	var held atomic.Int64
	var wg sync.WaitGroup
	for range 40 {
		wg.Go(func() {
			s := share{memory: m}
			for range 200 {
				for n := 1 + rand.N(4*testWhole); ; {
					if s.lacking > 0 {
						if err := s.reserve(context.Background()); err != nil {
							t.Error(err)
						}
					}
					if s.room(n) != nil {
						break
					}
					s.release()
				}
				m.mu.Lock()
				if kept := int64(len(m.idle)) * m.whole; m.held <= m.total && m.held+kept > m.total {
					t.Errorf("%d bytes in use and %d idle, want at most %d", m.held, kept, m.total)
				}
				m.mu.Unlock()
				if now := held.Add(s.reserved); now > m.total {
					t.Errorf("%d bytes are held at once, want at most %d", now, m.total)
				}
				desk := m.sit(context.Background())
				m.rise(desk)
				held.Add(-s.reserved)
				s.release()
			}
		})
	}
	wg.Wait()
	if !m.free.TryAcquire(m.total) {
		t.Error("not everything was given back")
	}
}

func TestNobodySitsAfterTheEnd(t *testing.T) {
	m := newTestMemory(1)
	for len(m.desks) > 0 {
		m.sit(t.Context())
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if m.sit(ended) != nil {
		t.Error("there is a desk more than there are")
	}
}
