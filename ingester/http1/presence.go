package http1

import (
	"errors"
	"syscall"
	"time"
)

// watchInterval is how often the connections are looked at on which a handler
// waits. A handler that has not returned at two looks on end has its client
// looked for.
const watchInterval = time.Second

// watch ends the contexts of connections whose clients have left. It looks at
// all of them in turn, so that a request costs nothing that is answered soon.
func (s *Server) watch() {
	ticker := time.NewTicker(watchInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			s.lookForClients()
		case <-s.over:
			return
		}
	}
}

func (s *Server) lookForClients() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		turn := c.turns.Load()
		if waiting := turn%2 == 1 && turn == c.seen; waiting && c.clientLeft() {
			c.cancel()
		}
		c.seen = turn
	}
}

// clientLeft reports whether nothing more will come from the client. It takes
// nothing from what does come, so that it does not disturb a reader.
func (c *conn) clientLeft() (left bool) {
	var first [1]byte
	err := c.raw.Control(func(fd uintptr) {
		n, _, err := syscall.Recvfrom(int(fd), first[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		switch {
		case errors.Is(err, syscall.EAGAIN), errors.Is(err, syscall.EINTR):
		default:
			left = n <= 0
		}
	})
	return left || err != nil
}
