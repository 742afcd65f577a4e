package producer

import (
	"math"

	"github.com/logpipeline/logpipeline/ingester/kafka"
)

// identity is under which numbers the next new batch of a partition goes out.
type identity struct {
	producer kafka.ProducerID
	sequence int32
	known    bool // false: a new producer id is needed
}

// anonymous is the identity of a writer without idempotence; it never changes.
var anonymous = identity{producer: kafka.NoProducer, sequence: -1, known: true}

func (i *identity) idempotent() bool { return i.producer != kafka.NoProducer }

func (i *identity) renew(producer kafka.ProducerID) {
	*i = identity{producer: producer, known: true}
}

// advance goes past the n records of an acknowledged batch. Sequences wrap to
// 0 after the largest int32.
func (i *identity) advance(n int) {
	if i.idempotent() {
		i.sequence = int32((int64(i.sequence) + int64(n)) & math.MaxInt32)
	}
}

// raiseEpoch leaves all numbers used so far behind; brokers refuse them after
// the first batch of the new epoch. After the last epoch only a new producer
// id will do, which makes the brokers refuse nothing.
func (i *identity) raiseEpoch() {
	if i.producer.Epoch == math.MaxInt16 {
		i.lose()
		return
	}
	if i.known && i.idempotent() {
		i.producer.Epoch++
		i.sequence = 0
	}
}

// spent says that no epoch is left to raise. Such an identity is left behind
// while nothing is in doubt.
func (i *identity) spent() bool { return i.known && i.producer.Epoch == math.MaxInt16 }

// lose leaves the producer id itself behind.
func (i *identity) lose() {
	if i.idempotent() {
		*i = identity{}
	}
}
