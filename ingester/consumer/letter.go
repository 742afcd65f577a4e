package consumer

import (
	"bytes"
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/logpipeline/logpipeline/ingester/kafka"
	"github.com/logpipeline/logpipeline/ingester/record"
)

const (
	// partBytes bounds a part of a batch: with its headers it is less than
	// brokers take unless told otherwise.
	partBytes = 512 << 10
	// lettersBytes bounds a record batch of letters; a larger letter travels
	// alone.
	lettersBytes = 900_000
	// replicaTimeout bounds how long a broker waits for its in-sync replicas.
	replicaTimeout = 5 * time.Second
)

// letter is a record batch, a part of one, or a record that can't be stored; its
// headers are record.HeaderUndecodable and those after it.
type letter struct {
	identity string
	value    []byte
	headers  []record.Header
}

func (w *worker) newLetter(content, part string, offset, next int64, reason string, value []byte) letter {
	identity := w.config.Topic + "/" + strconv.Itoa(int(w.partition)) + "/" + strconv.FormatInt(offset, 10)
	header := func(key, value string) record.Header { return record.Header{Key: key, Value: []byte(value)} }
	return letter{identity: identity, value: bytes.Clone(value), headers: []record.Header{
		header(record.HeaderUndecodable, identity),
		header(record.HeaderUndecodableContent, content),
		header(record.HeaderUndecodablePart, part),
		header(record.HeaderUndecodableNextOffset, strconv.FormatInt(next, 10)),
		header(record.HeaderUndecodableReason, reason),
		header(record.HeaderUndecodableTime, time.Now().UTC().Format(time.RFC3339Nano)),
	}}
}

// lettersOfBatch copies the batch, in parts if it is large.
func (w *worker) lettersOfBatch(offset, next int64, batch *kafka.CorruptError) []letter {
	parts := max(1, (len(batch.Batch)+partBytes-1)/partBytes)
	letters := make([]letter, parts)
	for i := range letters {
		part := batch.Batch[i*partBytes : min((i+1)*partBytes, len(batch.Batch))]
		letters[i] = w.newLetter("batch", fmt.Sprintf("%d/%d", i+1, parts), offset, next, batch.Error(), part)
	}
	return letters
}

// letterOfRecord copies a record with its key and headers.
func (w *worker) letterOfRecord(r *kafka.Record, defect string) letter {
	l := w.newLetter("record", "1/1", r.Offset, r.Offset+1, "the record "+defect, r.Value)
	if r.Key != nil {
		l.headers = append(l.headers, record.Header{Key: record.HeaderUndecodableKey, Value: bytes.Clone(r.Key)})
	}
	own, err := r.Headers(nil)
	if err != nil {
		return l // what can be read of it is better than nothing
	}
	for _, h := range own {
		l.headers = append(l.headers, record.Header{Key: h.Key, Value: bytes.Clone(h.Value)})
	}
	return l
}

// writeLetters returns when all in-sync replicas of the dead-letter topic have
// the letters. Those of one partition of ours go to one of its.
func (w *worker) writeLetters(ctx context.Context, letters []letter) error {
	topic, err := w.client.Topic(ctx, w.config.DeadLetter.Topic)
	if err != nil {
		return fmt.Errorf("write dead letters: %w", err)
	}
	if len(topic.Partitions) == 0 {
		return fmt.Errorf("write dead letters: topic %q has no partitions", topic.Name)
	}
	source := w.config.Topic + "/" + strconv.Itoa(int(w.partition))
	partition := kafka.PartitionOf([]byte(source), len(topic.Partitions))
	var b kafka.BatchBuilder
	for _, l := range letters {
		if b.Len() > 0 && b.Size()+kafka.MaxRecordSize([]byte(l.identity), l.value, l.headers) > lettersBytes {
			if err := w.sendLetters(ctx, partition, &b); err != nil {
				return err
			}
			b.Reset()
		}
		b.Append(time.Now().UnixMilli(), []byte(l.identity), l.value, l.headers)
	}
	return w.sendLetters(ctx, partition, &b)
}

func (w *worker) sendLetters(ctx context.Context, partition int32, b *kafka.BatchBuilder) error {
	_, err := w.client.Produce(ctx, &kafka.ProduceRequest{
		Topic: w.config.DeadLetter.Topic, Partition: partition, Batch: b.Seal(kafka.NoProducer, -1), Timeout: replicaTimeout,
	})
	if err != nil {
		return fmt.Errorf("write dead letters: %w", err)
	}
	return nil
}

// refused says whether the dead-letter topic will never take what it refused.
func refused(err error) bool {
	verdict := kafka.Classify(err)
	return verdict == kafka.TooLarge || verdict == kafka.Refused
}
