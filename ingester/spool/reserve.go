package spool

import (
	"errors"
	"fmt"
	"os"
)

// room makes sure that an entry of n bytes fits on the disk, and the journal's
// reserve beside it; twice that, where there is so much.
func (a *appender) room(n int64) (err error) {
	need := a.size() + n + a.reserve
	if need <= a.allocated {
		return nil
	}
	for _, to := range []int64{need + a.reserve, need} {
		if err = preallocate(a.file, a.allocated, to); err == nil {
			a.allocated = to
			return nil
		}
	}
	return err
}

// replenish makes sure of the journal's reserve as far as there is room. While
// there is none data is refused, and the journal tries without.
func (a *appender) replenish() {
	if a.file != nil {
		_ = a.room(0)
	}
}

// resume goes on in the last segment of an earlier run, where the disk has no
// room for a new one. What stands behind its end is overwritten, not cut off:
// that would give back what is preallocated there, and whoever has filled the
// disk would take it.
func (a *appender) resume(s *segment) error {
	f, err := os.OpenFile(s.path, os.O_RDWR, 0)
	if err != nil {
		return fmt.Errorf("go on in a segment: %w", err)
	}
	if err := erase(f, s.size); err != nil {
		return errors.Join(fmt.Errorf("go on in %s: %w", s.path, err), f.Close())
	}
	a.goOn(f, s.number, s.size, s.size)
	a.replenish()
	return nil
}
