package simulation

import (
	"fmt"
	"math"
	"time"

	"github.com/logpipeline/logpipeline/controllers/scaling"
	"github.com/logpipeline/logpipeline/controllers/scaling/lag"
)

// World is what does not change in a run.
type World struct {
	Partitions int
	// LeastPods is the least number of pods.
	LeastPods int
	// PodRecords is what one consumer drains in a second.
	PodRecords float64
	// StartSeconds is what a pod takes until it joins the group.
	StartSeconds int
	// RebalanceSeconds is how long nobody consumes when the group changes.
	RebalanceSeconds int
	// SealSeconds is how long a segment grows until it counts as done.
	SealSeconds int
	// IntervalSeconds is how often the signals are read, and Phase when first.
	IntervalSeconds, Phase int
}

// DefaultWorld is a middling pipeline: 24 partitions, consumers of 5,000
// records a second that take 15 s to start, and default segments.
func DefaultWorld() World {
	return World{
		Partitions: 24, LeastPods: 1, PodRecords: 5000, StartSeconds: 15, RebalanceSeconds: 4, SealSeconds: 10,
		IntervalSeconds: int(scaling.Interval.Seconds()),
	}
}

// topic is the log and the group that reads it.
type topic struct {
	World
	partitions []partition
	members    []member
	nextMember int
	paused     int // seconds of the rebalance that are left
}

// partition counts records in the order in which they came.
type partition struct {
	produced, read, sealed float64
	arrivals               []arrival // not sealed yet
	sealedAt               int
}

type arrival struct {
	at  int
	end float64 // of what was produced then
}

type member struct {
	name     string
	joinsAt  int
	joined   bool
	appended float64
	busy     float64
}

func newTopic(w World) *topic {
	t := &topic{World: w, partitions: make([]partition, w.Partitions)}
	for i := range t.partitions { // segments begin at different times
		t.partitions[i].sealedAt = -i % max(1, w.SealSeconds)
	}
	return t
}

// second lets one pass, with records arriving at a rate and as many pods as
// asked for.
func (t *topic) second(at int, rate float64, replicas int) {
	t.scale(at, replicas)
	for i := range t.partitions {
		p := &t.partitions[i]
		p.produced += rate / float64(len(t.partitions))
		p.arrivals = append(p.arrivals, arrival{at, p.produced})
	}
	if t.paused > 0 {
		t.paused--
	} else {
		t.consume()
	}
	for i := range t.partitions {
		if at-t.partitions[i].sealedAt >= t.SealSeconds {
			t.partitions[i].seal(at)
		}
	}
}

// scale starts pods, and stops the youngest; whoever joins or leaves has the
// group share out the partitions anew, for which all seal.
func (t *topic) scale(at, replicas int) {
	changed := false
	for len(t.members) < replicas {
		t.nextMember++
		t.members = append(t.members, member{name: fmt.Sprintf("pod-%d", t.nextMember), joinsAt: at + t.StartSeconds})
	}
	if len(t.members) > replicas {
		changed = true
		t.members = t.members[:replicas]
	}
	for i := range t.members {
		if m := &t.members[i]; !m.joined && m.joinsAt <= at {
			m.joined, changed = true, true
		}
	}
	if changed {
		t.paused = t.RebalanceSeconds
		for i := range t.partitions {
			t.partitions[i].seal(at)
		}
	}
}

func (t *topic) joined() int {
	n := 0
	for _, m := range t.members {
		if m.joined {
			n++
		}
	}
	return n
}

// consume gives every member its share of the partitions and lets it read what
// it can in a second.
func (t *topic) consume() {
	joined := t.joined()
	if joined == 0 {
		return
	}
	for j := range joined { // the eldest joined first
		m := &t.members[j]
		mine := t.partitions[j*len(t.partitions)/joined : (j+1)*len(t.partitions)/joined]
		left := drain(mine, t.PodRecords)
		m.appended += t.PodRecords - left
		if left < 1e-6 { // there was more to read than it could
			m.busy++
		}
	}
}

// drain reads up to n records evenly from the partitions, and returns how many
// there were too few.
func drain(partitions []partition, n float64) float64 {
	for n > 1e-6 {
		behind := 0
		least := math.Inf(1)
		for i := range partitions {
			if waiting := partitions[i].produced - partitions[i].read; waiting > 1e-6 {
				behind++
				least = min(least, waiting)
			}
		}
		if behind == 0 {
			return n
		}
		step := min(least, n/float64(behind))
		for i := range partitions {
			if p := &partitions[i]; p.produced-p.read > 1e-6 {
				p.read += step
				n -= step
			}
		}
	}
	return 0
}

func (p *partition) seal(at int) {
	p.sealed, p.sealedAt = p.read, at
	done := 0
	for done < len(p.arrivals) && p.arrivals[done].end <= p.sealed+1e-3 {
		done++
	}
	p.arrivals = p.arrivals[done:]
}

// delay is the age of the oldest record that isn't done.
func (t *topic) delay(at int) int {
	oldest := at
	for _, p := range t.partitions {
		if len(p.arrivals) > 0 && p.produced-p.sealed > 1e-3 {
			oldest = min(oldest, p.arrivals[0].at)
		}
	}
	return at - oldest
}

var epoch = time.Unix(1e9, 0)

func clock(at int) time.Time { return epoch.Add(time.Duration(at) * time.Second) }

// reading is what the brokers and owners would tell.
func (t *topic) reading(at int) lag.Reading {
	r := lag.Reading{At: clock(at)}
	for i, p := range t.partitions {
		r.Partitions = append(r.Partitions, lag.Partition{ID: int32(i), End: int64(p.produced), Done: int64(p.sealed)})
	}
	return r
}

// workers is what the consumers would tell.
func (t *topic) workers(at int) []scaling.Worker {
	var all []scaling.Worker
	for _, m := range t.members {
		if m.joined {
			all = append(all, scaling.Worker{Name: m.name, Started: epoch, At: clock(at), Appended: int64(m.appended), BusySeconds: m.busy})
		}
	}
	return all
}
