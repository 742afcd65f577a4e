package simulation

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// What is promised of the operator's defaults, whenever the load changes within
// the periods, and whatever the phase between them.
func TestOurDefaults(t *testing.T) {
	for _, load := range []Load{Step(), Burst()} {
		for shift := range SyncSeconds {
			for _, phase := range []int{0, 3, 7} {
				t.Run(fmt.Sprintf("%s/shift %d/phase %d", load.Name, shift, phase), func(t *testing.T) {
					w := DefaultWorld()
					w.Phase = phase
					s := Run(w, load.Later(shift), ByDelay(Ours(), Target)).Summarize()
					if s.Reaction < 0 || s.Reaction >= 30 || s.Overshoots > 1 || s.Wrong > 0 {
						t.Errorf("%+v; want a reaction under 30 s, at most one overshoot, and no step in while late", s)
					}
				})
			}
		}
	}
	for _, load := range []Load{Diurnal(), Noisy()} {
		t.Run(load.Name, func(t *testing.T) {
			s := Run(DefaultWorld(), load, ByDelay(Ours(), Target)).Summarize()
			if s.Wrong > 0 || s.LateMinutes > 0 {
				t.Errorf("%+v; want no step in while late, and nothing late", s)
			}
		})
	}
	if s := Run(DefaultWorld(), Diurnal(), ByDelay(Ours(), Target)).Summarize(); s.Overshoots > 1 {
		t.Errorf("%+v; want one way up and one way down", s)
	}
}

// They are chosen because they cost fewer steps than counting records does,
// and not much more than knowing the load.
func TestOursBesideOthers(t *testing.T) {
	for _, load := range Loads() {
		t.Run(load.Name, func(t *testing.T) {
			ours := Run(DefaultWorld(), load, ByDelay(Ours(), Target)).Summarize()
			lag := Run(DefaultWorld(), load, ByLag()).Summarize()
			oracle := Run(DefaultWorld(), load, Oracle()).Summarize()
			t.Logf("ours   %+v", ours)
			t.Logf("lag    %+v", lag)
			t.Logf("oracle %+v", oracle)
			if ours.Overshoots > lag.Overshoots || ours.LateMinutes > lag.LateMinutes || ours.ReplicaMinutes > 2*oracle.ReplicaMinutes {
				t.Errorf("ours is no better than counting records, or costs twice what knowing the load does")
			}
		})
	}
}

// Asleep, they wake, and fall asleep again.
func TestToZeroAndBack(t *testing.T) {
	w := DefaultWorld()
	w.LeastPods = 0
	nap := Load{Name: "nap", Seconds: 2400, Changes: []int{900, 1020}, Rate: func(at int) float64 {
		if at >= 900 && at < 1020 {
			return 20_000
		}
		return 0
	}}
	for shift := range SyncSeconds {
		o := Run(w, nap.Later(shift), ByDelay(Ours(), Target))
		s := o.Summarize()
		if before, last := o.Seconds[890], o.Seconds[len(o.Seconds)-1]; before.Replicas != 0 || last.Replicas != 0 || last.Records != 0 {
			t.Errorf("%d pods before, %d and %v records at the end; want none", before.Replicas, last.Replicas, last.Records)
		}
		if s.Reaction < 0 || s.Reaction >= 30 || s.Overshoots > 1 || s.Wrong > 0 {
			t.Errorf("shift %d: %+v", shift, s)
		}
	}
}

// The same is promised of ingesters, where late means that clients are refused
// or that the queues hold more than they should.
func TestOurDefaultsForIngesters(t *testing.T) {
	loads := IntakeLoads()
	for _, load := range loads[:2] {
		for shift := range SyncSeconds {
			for _, phase := range []int{0, 3, 7} {
				t.Run(fmt.Sprintf("%s/shift %d/phase %d", load.Name, shift, phase), func(t *testing.T) {
					w := DefaultIntakeWorld()
					w.Phase = phase
					o := RunIntake(w, load.Later(shift), ByIntake())
					s, last := o.Summarize(), o.Seconds[len(o.Seconds)-1]
					if s.Reaction < 0 || s.Reaction >= 30 || s.Overshoots > 1 || s.Wrong > 0 || last.Replicas != w.LeastPods {
						t.Errorf("%+v, and %d pods in the end; want a reaction under 30 s, at most one overshoot, no step in while late, and the least in the end", s, last.Replicas)
					}
				})
			}
		}
	}
	for _, load := range loads {
		t.Run(load.Name+" beside others", func(t *testing.T) {
			ours := RunIntake(DefaultIntakeWorld(), load, ByIntake()).Summarize()
			queue := RunIntake(DefaultIntakeWorld(), load, ByQueue()).Summarize()
			oracle := RunIntake(DefaultIntakeWorld(), load, IntakeOracle()).Summarize()
			t.Logf("ours   %+v", ours)
			t.Logf("queue  %+v", queue)
			t.Logf("oracle %+v", oracle)
			if ours.Wrong > 0 || ours.Overshoots > queue.Overshoots || ours.LateMinutes > queue.LateMinutes || ours.ReplicaMinutes > 2.5*oracle.ReplicaMinutes {
				t.Errorf("ours goes in while late, is no better than queues alone, or costs more than twice and a half of what knowing the load does")
			}
		})
	}
	if s := RunIntake(DefaultIntakeWorld(), loads[2], ByIntake()).Summarize(); s.Overshoots > 1 {
		t.Errorf("%+v; want one way up and one way down in a day", s)
	}
}

// Following the queues alone is what must not be: with enough ingesters they are
// empty, so that all but the least go, and come back, again and again.
func TestQueuesAloneNeverSettle(t *testing.T) {
	if s := RunIntake(DefaultIntakeWorld(), IntakeLoads()[0], ByQueue()).Summarize(); s.Overshoots < 3 {
		t.Errorf("%+v; the model no longer shows what ingesters are asked how much comes for", s)
	}
}

// All bursts end with the least number of pods.
func TestEverythingCalmsDown(t *testing.T) {
	for _, scaler := range []Scaler{ByDelay(Ours(), Target), ByLag()} {
		seconds := Run(DefaultWorld(), Burst(), scaler).Seconds
		if last := seconds[len(seconds)-1]; last.Replicas != 1 || last.Delay > 20 {
			t.Errorf("%s ends with %+v", scaler.Name, last)
		}
	}
}

func TestAutoscalerFollowsThePublishedAlgorithm(t *testing.T) {
	type sync struct {
		At    int
		Usage float64
		Want  int
	}
	cases := []struct {
		name     string
		behavior Behavior
		from     int
		syncs    []sync
	}{
		{"within the tolerance", Kubernetes(), 10, []sync{{0, 10.9, 10}, {15, 9.1, 10}}},
		{"no tolerance upwards", Ours(), 10, []sync{{0, 10.1, 11}}},
		{"doubled, or four more", Kubernetes(), 1, []sync{{0, 100, 5}, {15, 100, 10}, {30, 100, 20}}},
		{"in only after five minutes of less", Kubernetes(), 10, []sync{{0, 10, 10}, {15, 1, 10}, {285, 1, 10}, {300, 1, 1}}},
		{"in by halves", Ours(), 16, []sync{{0, 16, 16}, {300, 1, 8}, {315, 1, 8}, {360, 1, 4}, {420, 1, 2}, {480, 1, 1}}},
		{"from nothing", Kubernetes(), 0, []sync{{0, 0, 0}, {15, 0.1, 1}}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			a := &autoscaler{behavior: c.behavior, most: 100}
			replicas := c.from
			var got []sync
			for _, s := range c.syncs {
				replicas = a.next(s.At, replicas, s.Usage, 1)
				got = append(got, sync{s.At, s.Usage, replicas})
			}
			if diff := cmp.Diff(c.syncs, got); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
		})
	}
}
