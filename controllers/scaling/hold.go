package scaling

import "time"

// longestHold bounds how long a value is held through a rebalance or rollout.
const longestHold = 90 * time.Second

// Holder keeps what was decided while its ground is moving, for a while. The
// zero value is ready.
type Holder struct {
	value float64
	at    time.Time // when value was decided; zero without one
}

// Next returns the fresh value, or, while things are not settled, the last one
// that was, and when it was decided.
func (h *Holder) Next(fresh float64, settled bool, now time.Time) (value float64, at time.Time) {
	if !settled && !h.at.IsZero() && now.Sub(h.at) <= longestHold {
		return h.value, h.at
	}
	if settled {
		h.value, h.at = fresh, now
	}
	return fresh, now
}
