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

func (i *identity) renew(producer kafka.ProducerID) {
	*i = identity{producer: producer, known: true}
}

// advance goes past the n records of an acknowledged batch. Sequences wrap to
// 0 after the largest int32.
func (i *identity) advance(n int) {
	i.sequence = int32((int64(i.sequence) + int64(n)) & math.MaxInt32)
}

// raiseEpoch leaves all numbers used so far behind; brokers refuse them after
// the first batch of the new epoch. After the last epoch only a new producer
// id will do.
func (i *identity) raiseEpoch() {
	if i.producer.Epoch == math.MaxInt16 {
		i.lose()
		return
	}
	i.producer.Epoch++
	i.sequence = 0
}

// lose leaves the producer id itself behind.
func (i *identity) lose() { *i = identity{} }
