package simulation

import (
	"math"
	"time"

	"github.com/logpipeline/logpipeline/controllers/scaling"
)

// Scaler decides how many pods there are.
type Scaler struct {
	Name string
	new  func(World, Load) func(at, replicas int, t *topic) int
}

// Target is the delay that the runs aim at.
const Target = scaling.DefaultDelayTarget

// LagThreshold is what a pod is given where records are counted: what it
// drains in ten seconds.
func (w World) LagThreshold() float64 { return 10 * w.PodRecords }

// ByDelay is the operator: its signals, its decision, its behavior.
func ByDelay(behavior Behavior, target time.Duration) Scaler {
	return Scaler{"delay", func(w World, _ Load) func(int, int, *topic) int {
		hpa := &autoscaler{behavior: behavior, least: w.LeastPods, most: w.Partitions}
		var meter scaling.RateMeter
		var holder scaling.Holder
		wanted, known := 0.0, false
		return func(at, replicas int, t *topic) int {
			if at%w.IntervalSeconds == w.Phase%w.IntervalSeconds {
				r := t.reading(at)
				meter.ObserveWorkers(t.workers(at))
				fresh := scaling.WantedConsumers(scaling.Backlog{
					Records: r.Records(), Rates: meter.Observe(r), Target: target, Partitions: w.Partitions, Pods: t.joined(),
				})
				wanted, _ = holder.Next(fresh, t.paused == 0, clock(at))
				known = true
			}
			if at%SyncSeconds != 0 || !known {
				return replicas
			}
			return hpa.next(at, replicas, wanted, 1)
		}
	}}
}

// ByLag divides the records that aren't committed by a threshold, as KEDA
// does: read whenever the autoscaler asks, with its behavior left as it is.
func ByLag() Scaler {
	return Scaler{"lag", func(w World, _ Load) func(int, int, *topic) int {
		hpa := &autoscaler{behavior: Kubernetes(), least: w.LeastPods, most: w.Partitions}
		return func(at, replicas int, t *topic) int {
			if at%SyncSeconds != 0 {
				return replicas
			}
			// KEDA takes no more lag into account than its partitions can use.
			usage := min(float64(t.reading(at).Records()), w.LagThreshold()*float64(w.Partitions))
			return hpa.next(at, replicas, usage, w.LagThreshold())
		}
	}}
}

// Oracle knows what will arrive. It starts pods just in time, with as few as
// their busiest can bear, and stops them when the next five minutes need fewer.
func Oracle() Scaler {
	return Scaler{"oracle", func(w World, load Load) func(at, replicas int, t *topic) int {
		needs := w.needs(load)
		return func(at, replicas int, _ *topic) int {
			soon, later := needs[at], needs[at]
			for ahead := at; ahead < min(at+foresight, len(needs)); ahead++ {
				if ahead <= at+w.StartSeconds+w.RebalanceSeconds {
					soon = max(soon, needs[ahead])
				}
				later = max(later, needs[ahead])
			}
			return min(max(replicas, soon), later)
		}
	}}
}

// foresight is how far the oracle looks ahead, and evenness over how long it
// lets the load even out, in seconds.
const (
	foresight = 300
	evenness  = 30
)

// needs are the pods that each second's load takes.
func (w World) needs(load Load) []int {
	needs := make([]int, load.Seconds)
	for at := range needs {
		before, after := 0.0, 0.0
		for i := range evenness {
			before += load.Rate(max(0, at-i)) / evenness
			after += load.Rate(at+i) / evenness
		}
		rate, n := max(before, after), 1
		for n < w.Partitions && rate*math.Ceil(float64(w.Partitions)/float64(n))/float64(w.Partitions) > w.PodRecords {
			n++
		}
		needs[at] = n
	}
	return needs
}
