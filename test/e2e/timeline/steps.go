package timeline

import (
	"fmt"
	"time"
)

// Bounds are the least and the most pods that were asked for.
func Bounds(moments []Moment) (least, most int) {
	if len(moments) == 0 {
		return 0, 0
	}
	least = moments[0].Replicas
	for _, m := range moments {
		least, most = min(least, m.Replicas), max(most, m.Replicas)
	}
	return least, most
}

// Added counts the pods that were added, beginning with those of the first
// moment: as many have to be created, if none is ever replaced.
func Added(moments []Moment) int {
	added, before := 0, 0
	for _, m := range moments {
		added += max(0, m.Replicas-before)
		before = m.Replicas
	}
	return added
}

// WrongSteps are those by which pods were taken away although, before and after
// the step, a number of an operator's page was above a target.
func WrongSteps(moments []Moment, name string, target func(Moment) float64) []string {
	var wrong []string
	for i := 1; i < len(moments); i++ {
		before, after := moments[i-1], moments[i]
		if after.Replicas < before.Replicas && before.On(name) > target(before) && after.On(name) > target(before) {
			wrong = append(wrong, fmt.Sprintf("after %v: from %d to %d pods with %s at %v, above %v",
				after.At.Round(time.Second), before.Replicas, after.Replicas, name, after.On(name), target(before)))
		}
	}
	return wrong
}

// LongestGap is the longest time in which the metrics API did not answer,
// from the first answer on.
func LongestGap(moments []Moment) (longest time.Duration, why error) {
	answered := time.Duration(-1)
	for _, m := range moments {
		if m.ServedErr == nil {
			answered = m.At
		} else if answered >= 0 && m.At-answered > longest {
			longest, why = m.At-answered, m.ServedErr
		}
	}
	return longest, why
}
