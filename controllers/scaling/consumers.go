package scaling

import (
	"math"
	"time"
)

// Backlog is what WantedConsumers decides by.
type Backlog struct {
	// Records that aren't done.
	Records int64
	Rates
	// Target is how old a record may get until it is done.
	Target time.Duration
	// Partitions are the most consumers that can work.
	Partitions int
	// Pods that consume now.
	Pods int
}

const (
	// plannedShare of its time is what a consumer is planned to be busy with
	// what arrives. The rest is for what arrives unevenly, and for catching up.
	plannedShare = 0.9
	// fullShare of its time is the most that the consumer with the most
	// partitions may be busy with what arrives in them.
	fullShare = 0.95
)

// WantedConsumers is how many consumers it takes to keep up with what arrives
// and to bring down what is older than the target within the target. It says
// nothing of how many there are, so that it stays what it is while they change,
// and is not clamped to the partitions, so that more than these are seen to be
// wanted. Partitions are not divisible: with 12 of them, 5 consumers are no
// faster than 4, and 6 are wanted instead.
//
// Nobody is wanted once nothing is left and nothing has come since the last
// look; how long that has to last is the autoscaler's stabilization window.
// While nobody has been seen to be busy, nobody knows what a consumer drains,
// and those that there are keep up: as many are wanted, and one at least while
// there is anything to do.
func WantedConsumers(b Backlog) float64 {
	if b.Records <= 0 && !b.Busy {
		return 0
	}
	if b.DrainPerPod <= 0 {
		return float64(max(1, b.Pods))
	}
	target := b.Target.Seconds()
	excess := max(0, float64(b.Records)-b.Arrival*target)
	pods := (b.Arrival/plannedShare + excess/target) / b.DrainPerPod
	return max(1, balanced(pods, b.Arrival/b.DrainPerPod, b.Partitions))
}

// balanced is the first whole number of consumers from pods on among which no
// one has more to do than it can, given that each partition brings its share of
// load, in consumers.
func balanced(pods, load float64, partitions int) float64 {
	n := math.Ceil(pods - 1e-9)
	if n >= float64(partitions) || partitions <= 0 {
		return n
	}
	for ; n < float64(partitions); n++ {
		most := math.Ceil(float64(partitions) / max(n, 1))
		if load*most/float64(partitions) <= fullShare {
			break
		}
	}
	return n
}
