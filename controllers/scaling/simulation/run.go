package simulation

import "math"

// Second is the state at the end of one.
type Second struct {
	Rate     float64
	Records  float64 // not done
	Replicas int
	Delay    int // seconds
	// Late says that what is scaled for is over its target.
	Late bool
}

// Outcome is a run.
type Outcome struct {
	Load    Load
	Scaler  string
	Seconds []Second
}

// Run plays a load against a scaler, beginning with one pod that runs.
func Run(w World, load Load, scaler Scaler) Outcome {
	o := Outcome{Load: load, Scaler: scaler.Name}
	decide := scaler.new(w, load)
	t := newTopic(w)
	replicas := 1
	for at := range load.Seconds {
		t.second(at, load.Rate(at), replicas)
		replicas = decide(at, replicas, t)
		r := t.reading(at)
		delay := t.delay(at)
		o.Seconds = append(o.Seconds, Second{load.Rate(at), float64(r.Records()), replicas, delay, delay > int(Target.Seconds())})
	}
	return o
}

// Summary is what a run comes to.
type Summary struct {
	// Reaction is how long after the first change of the load the number of
	// pods is raised, and Settling how long until it stays as it is; both in
	// seconds, -1 without such a change.
	Reaction, Settling int
	// Overshoots are how often, between two changes of the load, pods were
	// added and taken away again; Most is the largest number of pods.
	Overshoots, Most int
	// Wrong are steps in while something was late.
	Wrong int
	// Steps are all changes of the number of pods: each costs a rebalance.
	Steps int
	// ReplicaMinutes is what was paid for, LateMinutes the time in which
	// something was late, and WorstDelay the longest, in seconds.
	ReplicaMinutes, LateMinutes float64
	WorstDelay                  int
}

// Summarize leaves out the first minutes, in which the rates are learnt.
func (o Outcome) Summarize() Summary {
	s := Summary{Reaction: -1, Settling: -1}
	for at := 1; at < len(o.Seconds); at++ {
		now, before := o.Seconds[at], o.Seconds[at-1]
		s.ReplicaMinutes += float64(now.Replicas) / 60
		s.Most = max(s.Most, now.Replicas)
		s.WorstDelay = max(s.WorstDelay, now.Delay)
		if now.Late {
			s.LateMinutes += 1.0 / 60
		}
		if now.Replicas != before.Replicas {
			s.Steps++
		}
		if now.Replicas < before.Replicas && now.Late {
			s.Wrong++
		}
	}
	if len(o.Load.Changes) > 0 {
		s.Reaction, s.Settling = o.reaction(), o.settling()
	}
	s.Overshoots = o.overshoots()
	s.ReplicaMinutes = math.Round(10*s.ReplicaMinutes) / 10
	s.LateMinutes = math.Round(10*s.LateMinutes) / 10
	return s
}

func (o Outcome) reaction() int {
	from := o.Load.Changes[0]
	for at := from + 1; at < len(o.Seconds); at++ {
		if o.Seconds[at].Replicas > o.Seconds[from-1].Replicas {
			return at - from
		}
	}
	return -1
}

// settling is until the last change of pods before the load's next change.
func (o Outcome) settling() int {
	from, to := o.Load.Changes[0], len(o.Seconds)
	if len(o.Load.Changes) > 1 {
		to = o.Load.Changes[1]
	}
	last := 0
	for at := from + 1; at < to; at++ {
		if o.Seconds[at].Replicas != o.Seconds[at-1].Replicas {
			last = at - from
		}
	}
	return last
}

// WorstReaction is the longest that a scaler takes to raise the number of pods,
// in seconds, wherever within the periods a load changes; -1 where it never
// does, or the load has no change.
func WorstReaction(w World, load Load, scaler Scaler) int {
	return worstReaction(load, w.IntervalSeconds, func(later Load, phase int) Outcome {
		w.Phase = phase
		return Run(w, later, scaler)
	})
}

func worstReaction(load Load, interval int, run func(later Load, phase int) Outcome) int {
	if len(load.Changes) == 0 {
		return -1
	}
	worst := -1
	for shift := range SyncSeconds {
		for phase := 0; phase < interval; phase += 3 {
			worst = max(worst, run(load.Later(shift), phase).reaction())
		}
	}
	return worst
}

// overshoots counts, for each stretch between two changes of the load, how
// often the number of pods turned from growing to shrinking; the most of them.
func (o Outcome) overshoots() int {
	begins := append(append([]int{0}, o.Load.Changes...), len(o.Seconds))
	most := 0
	for i := 1; i < len(begins); i++ {
		turns, growing := 0, false
		for at := begins[i-1] + 1; at < begins[i]; at++ {
			switch step := o.Seconds[at].Replicas - o.Seconds[at-1].Replicas; {
			case step > 0:
				growing = true
			case step < 0 && growing:
				turns, growing = turns+1, false
			}
		}
		most = max(most, turns)
	}
	return most
}
