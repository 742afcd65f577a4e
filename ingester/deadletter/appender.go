package deadletter

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/logpipeline/logpipeline/ingester/kafka"
)

// Writer writes to Kafka under numbers of its own; *kafka.Client is one.
type Writer interface {
	InitProducerID(ctx context.Context) (kafka.ProducerID, error)
	Produce(ctx context.Context, request *kafka.ProduceRequest) (baseOffset int64, err error)
}

const (
	// appendTimeout bounds how long a record batch is retried.
	appendTimeout = 30 * time.Second
	retryPause    = 250 * time.Millisecond
)

// appender appends record batches to the partitions of a topic, each once.
type appender struct {
	client     Writer
	topic      string
	partitions int
	producer   kafka.ProducerID
	sequences  map[int32]int32 // by partition
	builder    kafka.BatchBuilder
}

func newAppender(ctx context.Context, client interface {
	Reader
	Writer
}, topic string) (*appender, error) {
	described, err := client.Topic(ctx, topic)
	if err != nil {
		return nil, err
	}
	if len(described.Partitions) == 0 {
		return nil, fmt.Errorf("topic %q has no partitions", topic)
	}
	a := &appender{client: client, topic: topic, partitions: len(described.Partitions), sequences: map[int32]int32{}}
	return a, a.retry(ctx, func(ctx context.Context) error {
		a.producer, err = client.InitProducerID(ctx)
		return err
	})
}

// partitionOf is where a record goes: by its key as the producer has it;
// without one where its letter should have gone.
func (a *appender) partitionOf(key []byte, l Letter) int32 {
	switch {
	case key != nil:
		return kafka.PartitionOf(key, a.partitions)
	case l.Partition >= 0 && int(l.Partition) < a.partitions:
		return l.Partition
	default:
		return kafka.PartitionOf([]byte(l.Batch), a.partitions)
	}
}

// append returns when all in-sync replicas have the records. A refusal is
// definite; after any other error they may be in the log, or come to be.
func (a *appender) append(ctx context.Context, partition int32, records []held) error {
	a.builder.Reset()
	now := time.Now().UnixMilli()
	for _, h := range records {
		a.builder.Append(now, h.key, h.value, h.headers)
	}
	request := &kafka.ProduceRequest{
		Topic: a.topic, Partition: partition, Batch: a.builder.Seal(a.producer, a.sequences[partition]), Timeout: replicaTimeout,
	}
	if err := a.retry(ctx, func(ctx context.Context) error {
		_, err := a.client.Produce(ctx, request)
		if kafka.Classify(err) == kafka.Duplicate {
			return nil // an attempt that was in doubt did it: nobody else has our numbers
		}
		return err
	}); err != nil {
		return err
	}
	a.sequences[partition] = int32((int64(a.sequences[partition]) + int64(len(records))) & math.MaxInt32)
	return nil
}

// errDoubt marks that earlier attempts may have succeeded.
var errDoubt = errors.New("it may have been written nevertheless")

// retry repeats an attempt that may succeed later, exactly as it was.
func (a *appender) retry(ctx context.Context, attempt func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, appendTimeout)
	defer cancel()
	doubt := false
	for {
		err := attempt(ctx)
		switch kafka.Classify(err) {
		case kafka.Acknowledged:
			return nil
		case kafka.Retry:
		case kafka.InDoubt:
			doubt = true
		default:
			return judged(err, doubt)
		}
		select {
		case <-time.After(retryPause):
			continue
		case <-ctx.Done():
		}
		return judged(err, doubt)
	}
}

// judged hides a refusal that says nothing of the attempts before it.
func judged(err error, doubt bool) error {
	if doubt {
		return fmt.Errorf("%w: %s", errDoubt, err.Error())
	}
	return err
}
