package scaling

import (
	"math"
	"time"

	"github.com/logpipeline/logpipeline/ingester/signal"
)

// Hold says why a value is not what was measured.
type Hold string

// The reasons to hold a value.
const (
	// NotHeld: it is what was measured.
	NotHeld Hold = ""
	// KafkaBottleneck: Kafka takes no more, so more ingesters would not help,
	// and fewer would lose what waits in them.
	KafkaBottleneck Hold = "KafkaBottleneck"
	// SpoolNotEmpty: a pod that leaves would take what it has spooled with it.
	SpoolNotEmpty Hold = "SpoolNotEmpty"
	// StillNeeded: the queues are short because there are enough ingesters, and
	// fewer could not take what comes.
	StillNeeded Hold = "StillNeeded"
	// Rebalancing: consumers share out the partitions anew, or are rolled out.
	Rebalancing Hold = "Rebalancing"
)

// Queues is what QueueBytes decides by.
type Queues struct {
	// Pods are those that answered; Missing have not, though they should.
	Pods    []signal.Ingester
	Missing int
	// Replicas is how many the autoscaler believes to be there.
	Replicas int
	// TargetBytes is what one pod's queue should hold.
	TargetBytes int64
	// Needed is how many what comes to Pods takes; see IntakeMeter.
	Needed float64
	// KafkaBottleneck tells that Kafka holds them up; see ProduceMeter.
	KafkaBottleneck bool
}

// QueueBytes is what the ingesters' queues hold together, as an autoscaler
// should see it. What it must not act on is shown as exactly what its replicas
// should hold.
func QueueBytes(q Queues) (bytes int64, held Hold) {
	var spooled int64
	for _, p := range q.Pods {
		bytes += p.QueueBytes
		spooled += p.SpoolRecords
	}
	bytes += q.missing(bytes)
	enough := q.TargetBytes * int64(q.Replicas)
	switch {
	case q.KafkaBottleneck:
		return enough, KafkaBottleneck
	case spooled > 0 && bytes < enough:
		return enough, SpoolNotEmpty
	case bytes < min(enough, q.needed()):
		return min(enough, q.needed()), StillNeeded
	default:
		return bytes, NotHeld
	}
}

// needed is what the queues of those that what comes takes should hold, with as
// much coming to the pods that say nothing as to the others.
func (q Queues) needed() int64 {
	pods := math.Ceil(q.Needed*float64(len(q.Pods)+q.Missing)/float64(max(1, len(q.Pods))) - 1e-9)
	return q.TargetBytes * int64(pods)
}

// missing is what pods that say nothing are counted with, as autoscalers do:
// with nothing where there would be more of them, and with what they should
// hold where there would be fewer.
func (q Queues) missing(bytes int64) int64 {
	answered := q.TargetBytes * int64(len(q.Pods))
	if q.Missing == 0 || bytes >= answered {
		return 0
	}
	return min(q.TargetBytes*int64(q.Missing), q.TargetBytes*int64(len(q.Pods)+q.Missing)-bytes)
}

const (
	// slowProduce is the mean time from the first sending of a record batch to
	// its acknowledgement, from which on Kafka is what holds ingesters up.
	slowProduce = time.Second
	// failingShare of sendings that fail says the same.
	failingShare = 0.1
)

// ProduceMeter tells from successive samples whether Kafka is what holds the
// ingesters up. The zero value is ready.
type ProduceMeter struct {
	before map[string]answered
	slow   bool
}

// observe takes another sample of all ingesters.
func (m *ProduceMeter) observe(answers []answered) (bottleneck bool) {
	now := make(map[string]answered, len(answers))
	var batches, retries int64
	var seconds float64
	unreachable, ingesters := 0, 0
	for _, a := range answers {
		if a.Ingester == nil {
			continue
		}
		ingesters++
		if a.Ingester.KafkaUnreachable {
			unreachable++
		}
		now[a.pod] = a
		if b, known := m.before[a.pod]; known && b.Started.Equal(a.Started) {
			batches += a.Ingester.ProducedBatches - b.Ingester.ProducedBatches
			retries += a.Ingester.ProduceRetries - b.Ingester.ProduceRetries
			seconds += a.Ingester.ProduceSeconds - b.Ingester.ProduceSeconds
		}
	}
	m.before = now
	switch {
	case batches > 0:
		m.slow = seconds/float64(batches) > slowProduce.Seconds() || float64(retries) > failingShare*float64(batches+retries)
	case retries > 0:
		m.slow = true
	case unreachable == 0:
		m.slow = false // nothing to send
	}
	return m.slow || ingesters > 0 && 2*unreachable > ingesters
}
