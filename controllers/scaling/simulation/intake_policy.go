package simulation

import (
	"math"

	"github.com/logpipeline/logpipeline/controllers/scaling"
)

// IntakeScaler decides how many ingesters there are.
type IntakeScaler struct {
	Name string
	new  func(IntakeWorld, Load) func(at, replicas int, rate float64, k *intake) int
}

// ByIntake is the operator: its signal, its decision, its behavior.
func ByIntake() IntakeScaler { return byQueue("intake", true) }

// ByQueue follows the queues alone, whatever comes.
func ByQueue() IntakeScaler { return byQueue("queue", false) }

func byQueue(name string, needed bool) IntakeScaler {
	return IntakeScaler{name, func(w IntakeWorld, _ Load) func(int, int, float64, *intake) int {
		hpa := &autoscaler{behavior: Ours(), least: w.LeastPods, most: w.MostPods}
		var meter scaling.IntakeMeter
		usage, known := 0.0, false
		return func(at, replicas int, rate float64, k *intake) int {
			if at%w.IntervalSeconds == w.Phase%w.IntervalSeconds {
				pods, intakes := k.signals(at, rate)
				q := scaling.Queues{Pods: pods, Replicas: replicas, TargetBytes: int64(w.TargetBytes)}
				if pods := meter.Observe(intakes); needed {
					q.Needed = pods
				}
				bytes, _ := scaling.QueueBytes(q)
				usage, known = float64(bytes), true
			}
			if at%SyncSeconds != 0 || !known {
				return replicas
			}
			return hpa.next(at, replicas, usage, w.TargetBytes)
		}
	}}
}

// IntakeOracle knows what will come: pods are ready in time, and leave when the
// next five minutes need fewer.
func IntakeOracle() IntakeScaler {
	return IntakeScaler{"oracle", func(w IntakeWorld, load Load) func(int, int, float64, *intake) int {
		return func(at, replicas int, _ float64, _ *intake) int {
			soon, later := 0.0, 0.0
			for ahead := at; ahead < at+foresight; ahead++ {
				if ahead <= at+w.StartSeconds+1 {
					soon = max(soon, evened(load, ahead))
				}
				later = max(later, evened(load, ahead))
			}
			return min(max(replicas, w.podsFor(soon)), w.podsFor(later))
		}
	}}
}

func (w IntakeWorld) podsFor(rate float64) int {
	return min(max(int(math.Ceil(rate/w.PodRecords)), w.LeastPods), w.MostPods)
}

// evened is the load over the next seconds: queues even out what is shorter.
func evened(load Load, at int) float64 {
	sum := 0.0
	for i := range evenedSeconds {
		sum += load.Rate(at + i)
	}
	return sum / evenedSeconds
}

const evenedSeconds = 5

// WorstIntakeReaction is WorstReaction of ingesters.
func WorstIntakeReaction(w IntakeWorld, load Load, scaler IntakeScaler) int {
	return worstReaction(load, w.IntervalSeconds, func(later Load, phase int) Outcome {
		w.Phase = phase
		return RunIntake(w, later, scaler)
	})
}
