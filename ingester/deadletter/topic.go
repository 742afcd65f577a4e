package deadletter

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/logpipeline/logpipeline/ingester/kafka"
	"github.com/logpipeline/logpipeline/ingester/record"
)

const (
	// batchBytes bounds a record batch of dead letters; a larger record
	// travels alone. It is what brokers take unless told otherwise.
	batchBytes = 900_000
	// replicaTimeout bounds how long a broker waits for its in-sync replicas.
	replicaTimeout = 5 * time.Second
)

// Client sends requests to Kafka; *kafka.Client is one.
type Client interface {
	Topic(ctx context.Context, name string) (kafka.Topic, error)
	Produce(ctx context.Context, request *kafka.ProduceRequest) (baseOffset int64, err error)
}

// topic is the dead-letter topic as it is written: without idempotence, since
// every record carries its identity.
type topic struct {
	client Client
	name   string
}

// put returns when all in-sync replicas have the whole letters; otherwise they
// may have a part of them.
func (t topic) put(ctx context.Context, letters []record.DeadLetter) error {
	builders := map[int32]*kafka.BatchBuilder{}
	for _, d := range letters {
		partition, err := t.partitionOf(ctx, d.Batch)
		if err != nil {
			return err
		}
		b := builders[partition]
		if b == nil {
			b = &kafka.BatchBuilder{}
			builders[partition] = b
		}
		if err := t.add(ctx, partition, b, d); err != nil {
			return err
		}
	}
	for partition, b := range builders {
		if err := t.send(ctx, partition, b); err != nil {
			return err
		}
	}
	return nil
}

// add appends a letter to a record batch, which is sent whenever it is full.
func (t topic) add(ctx context.Context, partition int32, b *kafka.BatchBuilder, d record.DeadLetter) error {
	letter := letterOf(d)
	now := time.Now().UnixMilli()
	for i, value := range d.Records {
		index := d.FirstRecord + i
		headers := append(letter.headers(index), d.Headers...)
		key := []byte(identity(d.Batch, strconv.Itoa(index)))
		if b.Len() > 0 && b.Size()+kafka.MaxRecordSize(key, value, headers) > batchBytes {
			if err := t.send(ctx, partition, b); err != nil {
				return err
			}
			b.Reset()
		}
		b.Append(now, key, value, headers)
	}
	return nil
}

// mark notes that the records of a batch were replayed.
func (t topic) mark(ctx context.Context, batch string, replayed []int) error {
	partition, err := t.partitionOf(ctx, batch)
	if err != nil {
		return err
	}
	name := identity(batch, formatIndices(replayed))
	var b kafka.BatchBuilder
	b.Append(time.Now().UnixMilli(), []byte(headerReplayed+" "+name), fmt.Appendf(nil, `{"replayed":%q}`, name),
		[]record.Header{{Key: headerReplayed, Value: []byte(name)}})
	return t.send(ctx, partition, &b)
}

// partitionOf is the same for all records of a batch.
func (t topic) partitionOf(ctx context.Context, batch string) (int32, error) {
	described, err := t.client.Topic(ctx, t.name)
	if err != nil {
		return 0, err
	}
	if len(described.Partitions) == 0 {
		return 0, fmt.Errorf("topic %q has no partitions", t.name)
	}
	return kafka.PartitionOf([]byte(batch), len(described.Partitions)), nil
}

func (t topic) send(ctx context.Context, partition int32, b *kafka.BatchBuilder) error {
	_, err := t.client.Produce(ctx, &kafka.ProduceRequest{
		Topic: t.name, Partition: partition, Batch: b.Seal(kafka.NoProducer, -1), Timeout: replicaTimeout,
	})
	if kafka.Classify(err) == kafka.TooLarge {
		return fmt.Errorf("%w: with the headers of a dead letter a record is too large for topic %q; raise its max.message.bytes to %d more than that of the topic where the record should have gone", err, t.name, headerBytes)
	}
	return err
}

// refused says whether the topic will never take what it refused with err.
func refused(err error) bool {
	verdict := kafka.Classify(err)
	return !errors.Is(err, kafka.ErrUnreachable) && (verdict == kafka.TooLarge || verdict == kafka.Refused)
}
