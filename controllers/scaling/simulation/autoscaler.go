// Package simulation runs the functions that decide how many consumers are
// wanted against a model of an autoscaler, a topic and pods that take time to
// start, without a cluster and in no time. The defaults are chosen by it.
package simulation

import "math"

// Behavior is what a HorizontalPodAutoscaler may be told.
type Behavior struct {
	// ToleranceUp and ToleranceDown are how far the ratio of usage to target
	// may be from 1 without anything happening.
	ToleranceUp, ToleranceDown float64
	Up, Down                   Rules
}

// Rules bound scaling in one direction. The policy that allows the largest
// change counts.
type Rules struct {
	StabilizationSeconds int
	Policies             []Policy
}

// Policy allows a change within a period.
type Policy struct {
	Pods, Percent float64 // one of them
	PeriodSeconds int
}

// Kubernetes is the behavior of an autoscaler that is told nothing.
func Kubernetes() Behavior {
	return Behavior{
		ToleranceUp: 0.1, ToleranceDown: 0.1,
		Up:   Rules{Policies: []Policy{{Percent: 100, PeriodSeconds: 15}, {Pods: 4, PeriodSeconds: 15}}},
		Down: Rules{StabilizationSeconds: 300, Policies: []Policy{{Percent: 100, PeriodSeconds: 15}}},
	}
}

// Ours is what the operator tells the autoscaler of consumers.
func Ours() Behavior {
	b := Kubernetes()
	b.ToleranceUp = 0
	b.Down.Policies = []Policy{{Percent: 50, PeriodSeconds: 60}, {Pods: 1, PeriodSeconds: 60}}
	return b
}

// SyncSeconds is the autoscaler's period.
const SyncSeconds = 15

// autoscaler follows the published algorithm of autoscaling/v2 for one external
// metric with an average value as its target:
// https://kubernetes.io/docs/concepts/workloads/autoscaling/horizontal-pod-autoscale/
type autoscaler struct {
	behavior        Behavior
	least, most     int
	recommendations []recommendation
	changes         []recommendation // positive or negative
}

type recommendation struct{ at, replicas int }

// next is the number of replicas after a sync, at a time in seconds.
func (a *autoscaler) next(at, replicas int, usage, target float64) int {
	desired := a.desired(replicas, usage, target)
	stable := a.stabilize(at, replicas, min(max(desired, a.least), a.most))
	next := min(max(a.limit(at, replicas, stable), a.least), a.most)
	if next != replicas {
		a.changes = append(a.changes, recommendation{at, next - replicas})
	}
	return next
}

func (a *autoscaler) desired(replicas int, usage, target float64) int {
	if replicas > 0 {
		ratio := usage / (target * float64(replicas))
		if ratio >= 1-a.behavior.ToleranceDown && ratio <= 1+a.behavior.ToleranceUp {
			return replicas
		}
	}
	return int(math.Ceil(usage/target - 1e-9))
}

// stabilize follows the least of what was recommended for scaling out, and the
// most for scaling in.
func (a *autoscaler) stabilize(at, replicas, desired int) int {
	up, down := desired, desired
	for _, r := range a.recommendations {
		if r.at > at-a.behavior.Up.StabilizationSeconds {
			up = min(up, r.replicas)
		}
		if r.at > at-a.behavior.Down.StabilizationSeconds {
			down = max(down, r.replicas)
		}
	}
	a.recommendations = append(a.recommendations, recommendation{at, desired})
	return min(max(replicas, up), down)
}

// limit bounds a change by the policies.
func (a *autoscaler) limit(at, replicas, desired int) int {
	switch {
	case desired > replicas:
		furthest := replicas
		for _, p := range a.behavior.Up.Policies {
			begin := float64(replicas - a.changed(at, p.PeriodSeconds))
			furthest = max(furthest, int(math.Ceil(begin+p.Pods+begin*p.Percent/100)))
		}
		return min(desired, furthest)
	case desired < replicas:
		furthest := replicas
		for _, p := range a.behavior.Down.Policies {
			begin := float64(replicas - a.changed(at, p.PeriodSeconds))
			furthest = min(furthest, int(begin-p.Pods-begin*p.Percent/100))
		}
		return max(desired, furthest)
	default:
		return replicas
	}
}

// changed is by how many replicas were changed within a period.
func (a *autoscaler) changed(at, period int) int {
	sum := 0
	for _, c := range a.changes {
		if c.at > at-period {
			sum += c.replicas
		}
	}
	return sum
}
