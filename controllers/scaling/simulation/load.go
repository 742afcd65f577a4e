package simulation

import (
	"math"
	"math/rand/v2"
)

// Load is what arrives.
type Load struct {
	Name    string
	Seconds int
	// Rate is in records a second, at a time in seconds.
	Rate func(at int) float64
	// Changes are when it changes for good, in seconds.
	Changes []int
}

// Loads are those that the defaults are chosen by.
func Loads() []Load { return []Load{Step(), Burst(), Diurnal(), Noisy()} }

// Step rises from what one pod drains to what nine do, and falls again.
func Step() Load {
	return Load{"step", 5400, func(at int) float64 {
		if at >= 600 && at < 3000 {
			return 42_000
		}
		return 3000
	}, []int{600, 3000}}
}

// Burst is three minutes of sixteen pods' work over what one does with ease.
func Burst() Load {
	return Load{"burst", 3600, func(at int) float64 {
		if at >= 600 && at < 780 {
			return 80_000
		}
		return 2000
	}, []int{600, 780}}
}

// Diurnal is a day within four hours.
func Diurnal() Load {
	return Load{"diurnal", 14_400, func(at int) float64 {
		return 30_000 - 25_000*math.Cos(2*math.Pi*float64(at)/14_400)
	}, nil}
}

// Noisy has no trend: every second is another, and every half minute too.
func Noisy() Load {
	const seconds = 7200
	random := rand.New(rand.NewPCG(1, 2))
	rates := make([]float64, seconds)
	slow := 0.0
	for at := range rates {
		if at%30 == 0 {
			slow = 0.25 * random.NormFloat64()
		}
		rates[at] = 22_000 * math.Exp(slow+0.4*random.NormFloat64()-0.11)
	}
	return Load{"noisy", seconds, func(at int) float64 { return rates[min(at, seconds-1)] }, nil}
}

// Later is the same load, some seconds later, so that its changes fall elsewhere
// within the autoscaler's period.
func (l Load) Later(seconds int) Load {
	rate, changes := l.Rate, make([]int, len(l.Changes))
	for i, at := range l.Changes {
		changes[i] = at + seconds
	}
	l.Rate = func(at int) float64 { return rate(max(0, at-seconds)) }
	l.Changes = changes
	l.Seconds += seconds
	return l
}

// IntakeLoads are the same, for ingesters: each of them takes twenty times what
// a consumer does.
func IntakeLoads() []Load {
	loads := Loads()
	for i, l := range loads {
		loads[i].Rate = func(at int) float64 { return 20 * l.Rate(at) }
	}
	return loads
}
