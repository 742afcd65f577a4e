package scaling

import "cmp"

// Trouble is what consumers say keeps them from storing, one of them for all.
// The zero value is none.
type Trouble struct {
	// Stopped quotes who has the first partition that stands still until
	// somebody decides.
	Stopped Quote
	// StoreFailure quotes who cannot open the store, or write to it.
	StoreFailure Quote
}

// Quote is what a pod said; both are empty when none did.
type Quote struct{ Pod, Message string }

// next is the trouble by new answers of pods, and the one before as long as
// nobody knows better: between two generations of the group nobody has
// partitions, and pods may not answer.
func (t Trouble) next(answers []answered, pods int) (next Trouble) {
	if pods == 0 {
		return Trouble{}
	}
	known, first := false, int32(0)
	for _, a := range answers {
		c := a.Consumer
		if c == nil {
			continue
		}
		known = known || c.Generation >= 0 || c.StoreFailure != ""
		if c.StoreFailure != "" && (next.StoreFailure.Pod == "" || a.pod < next.StoreFailure.Pod) {
			next.StoreFailure = Quote{a.pod, c.StoreFailure}
		}
		for _, p := range c.Partitions {
			if p.Stopped != "" && (next.Stopped.Pod == "" || p.Partition < first) {
				next.Stopped, first = Quote{a.pod, cmp.Or(p.StoppedMessage, p.Stopped)}, p.Partition
			}
		}
	}
	if !known {
		return t
	}
	return next
}
