package simulation

import (
	"fmt"

	"github.com/logpipeline/logpipeline/controllers/scaling"
	"github.com/logpipeline/logpipeline/ingester/signal"
)

// IntakeWorld is what does not change in a run of ingesters.
type IntakeWorld struct {
	// LeastPods and MostPods bound their number.
	LeastPods, MostPods int
	// PodRecords is what one ingester delivers in a second, of RecordBytes
	// each, and DeliverySeconds how long a record takes with nothing before it.
	PodRecords, RecordBytes, DeliverySeconds float64
	// QueueBytes bounds the queue of one, TargetBytes is what it should hold.
	QueueBytes, TargetBytes float64
	// StartSeconds is what a pod takes until it is ready.
	StartSeconds int
	// IntervalSeconds is how often the signals are read, and Phase when first.
	IntervalSeconds, Phase int
}

// DefaultIntakeWorld is a middling pipeline with default queues: ingesters of
// 100,000 records a second that take 15 s to start.
func DefaultIntakeWorld() IntakeWorld {
	return IntakeWorld{
		LeastPods: 1, MostPods: 24, PodRecords: 100_000, RecordBytes: 256, DeliverySeconds: 0.1,
		QueueBytes: 256 << 20, TargetBytes: 128 << 20, StartSeconds: 15, IntervalSeconds: int(scaling.Interval.Seconds()),
	}
}

// intake are the ingesters, and the clients that send again what was refused.
type intake struct {
	IntakeWorld
	pods    []ingester
	next    int
	refused float64 // records that clients still have
}

type ingester struct {
	name     string
	readyAt  int
	accepted float64
	queued   float64 // records
}

// second lets one pass: what comes, and what was refused before, goes to the
// ready pods in equal parts, as far as their queues have room.
func (k *intake) second(at int, rate float64, replicas int) {
	for len(k.pods) < replicas {
		k.start(at + k.StartSeconds)
	}
	k.pods = k.pods[:replicas] // a pod that leaves delivers what it has
	ready := k.ready(at)
	offered := rate + k.refused
	k.refused = 0
	for i := range ready {
		share := offered / float64(len(ready))
		taken := min(share, max(0, k.QueueBytes/k.RecordBytes-ready[i].queued)+k.PodRecords)
		k.refused += share - taken
		ready[i].accepted += taken
		ready[i].queued += taken - min(ready[i].queued+taken, k.PodRecords)
	}
	if len(ready) == 0 {
		k.refused = offered
	}
}

func (k *intake) start(readyAt int) {
	k.next++
	k.pods = append(k.pods, ingester{name: fmt.Sprintf("pod-%d", k.next), readyAt: readyAt})
}

// ready are the eldest: they were started first.
func (k *intake) ready(at int) []ingester {
	n := 0
	for n < len(k.pods) && k.pods[n].readyAt <= at {
		n++
	}
	return k.pods[:n]
}

// queueBytes are those that wait, and those on their way.
func (k *intake) queueBytes(p ingester, rate float64) int64 {
	return int64(min(k.QueueBytes, (p.queued+min(rate, k.PodRecords)*k.DeliverySeconds)*k.RecordBytes))
}

// signals are what the ready pods tell, at a rate for each.
func (k *intake) signals(at int, rate float64) (pods []signal.Ingester, intakes []scaling.Intake) {
	for _, p := range k.ready(at) {
		bytes := k.queueBytes(p, rate/float64(len(k.ready(at))))
		pods = append(pods, signal.Ingester{QueueBytes: bytes, AcceptedRecords: int64(p.accepted)})
		intakes = append(intakes, scaling.Intake{Name: p.name, Started: epoch, At: clock(at), Accepted: int64(p.accepted), QueueBytes: bytes})
	}
	return pods, intakes
}

// RunIntake plays a load against a scaler, beginning with the least number of
// pods. Late are seconds in which clients were refused, or the queues held more
// than they should.
func RunIntake(w IntakeWorld, load Load, scaler IntakeScaler) Outcome {
	o := Outcome{Load: load, Scaler: scaler.Name}
	decide := scaler.new(w, load)
	k := &intake{IntakeWorld: w}
	for range w.LeastPods {
		k.start(0)
	}
	replicas := w.LeastPods
	for at := range load.Seconds {
		rate := load.Rate(at)
		k.second(at, rate, replicas)
		replicas = decide(at, replicas, rate, k)
		waiting := k.queued() + k.refused
		o.Seconds = append(o.Seconds, Second{
			Rate: rate, Records: waiting, Replicas: replicas,
			Delay: int(waiting / (w.PodRecords * float64(max(1, len(k.ready(at)))))),
			Late:  k.refused > 0 || k.queued()*w.RecordBytes > w.TargetBytes*float64(len(k.pods)),
		})
	}
	return o
}

// queued are the records that wait in all pods.
func (k *intake) queued() (records float64) {
	for _, p := range k.pods {
		records += p.queued
	}
	return records
}
