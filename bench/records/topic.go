package records

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/segmentio/kafka-go"
)

// Topic is what Fill writes.
type Topic struct {
	Brokers    string // host:port addresses, separated by commas
	Name       string
	Partitions int
	Codec      string // of the record batches: none, gzip, snappy, lz4 or zstd
	// BatchRecords is how many records one record batch holds.
	BatchRecords int
}

// distinct is how many different records there are before they come again:
// enough that a codec's window never sees one twice.
const distinct = 100_000

// patience is with a broker on a busy machine.
const patience = 2 * time.Minute

// Fill writes n records, the same for the same seed, evenly to all partitions
// of a topic that has been created. It returns the bytes of the records, each with the
// end of its line.
func (t Topic) Fill(ctx context.Context, seed uint64, n int) (bytes int64, err error) {
	codec, err := t.compression()
	if err != nil {
		return 0, err
	}
	transport, before, err := t.await(ctx)
	if err != nil {
		return 0, err
	}
	defer transport.CloseIdleConnections()
	lines := Lines(seed, min(n, distinct))
	var writing sync.WaitGroup
	failures := make([]error, t.Partitions)
	for p := range t.Partitions {
		writing.Go(func() { failures[p] = t.fillPartition(ctx, transport, codec, p, lines, n) })
	}
	writing.Wait()
	if err := errors.Join(failures...); err != nil {
		return 0, fmt.Errorf("fill topic %q: %w", t.Name, err)
	}
	if after, err := t.messages(ctx, transport); err != nil || after-before != int64(n) {
		return 0, fmt.Errorf("fill topic %q: it has got %d messages, want %d (%w)", t.Name, after-before, n, err)
	}
	for i := range n {
		bytes += int64(len(lines[i%len(lines)]) + 1)
	}
	return bytes, nil
}

// fillPartition writes every record whose number leaves p when it is divided
// by the number of partitions.
func (t Topic) fillPartition(ctx context.Context, transport *kafka.Transport, codec kafka.Compression, p int, lines [][]byte, n int) (err error) {
	writer := &kafka.Writer{
		Addr: t.address(), Transport: transport, Topic: t.Name, Compression: codec, RequiredAcks: kafka.RequireAll,
		Balancer:  kafka.BalancerFunc(func(kafka.Message, ...int) int { return p }),
		BatchSize: t.BatchRecords, BatchBytes: 1 << 30, ReadTimeout: patience, WriteTimeout: patience,
	}
	defer func() { err = errors.Join(err, writer.Close()) }()
	const batchesAtOnce = 16
	messages := make([]kafka.Message, 0, batchesAtOnce*t.BatchRecords)
	for i := p; i < n && err == nil; i += t.Partitions {
		messages = append(messages, kafka.Message{Value: lines[i%len(lines)]})
		if len(messages) == cap(messages) || i+t.Partitions >= n {
			err = firstOf(writer.WriteMessages(ctx, messages...))
			messages = messages[:0]
		}
	}
	return err
}

// await returns connections to the brokers, and the messages of the topic, once
// they agree that it is there: creating it does not wait for all of them. It
// begins anew each time, for connections remember for a while what was not there.
func (t Topic) await(ctx context.Context) (transport *kafka.Transport, messages int64, err error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		transport = &kafka.Transport{}
		if messages, err = t.messages(ctx, transport); err == nil {
			return transport, messages, nil
		}
		transport.CloseIdleConnections()
		if ctx.Err() != nil {
			return nil, 0, err
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// messages is how many the topic has taken.
func (t Topic) messages(ctx context.Context, transport *kafka.Transport) (total int64, err error) {
	client := kafka.Client{Addr: t.address(), Transport: transport, Timeout: patience}
	ends := make([]kafka.OffsetRequest, t.Partitions)
	for p := range ends {
		ends[p] = kafka.LastOffsetOf(p)
	}
	response, err := client.ListOffsets(ctx, &kafka.ListOffsetsRequest{Topics: map[string][]kafka.OffsetRequest{t.Name: ends}})
	if err != nil {
		return 0, fmt.Errorf("count the messages of %q: %w", t.Name, err)
	}
	if listed := len(response.Topics[t.Name]); listed != t.Partitions {
		return 0, fmt.Errorf("count the messages of %q: %d of %d partitions are there", t.Name, listed, t.Partitions)
	}
	for _, p := range response.Topics[t.Name] {
		if p.Error != nil {
			return 0, fmt.Errorf("count the messages of %q, partition %d: %w", t.Name, p.Partition, p.Error)
		}
		total += p.LastOffset
	}
	return total, nil
}

func (t Topic) address() net.Addr { return kafka.TCP(strings.Split(t.Brokers, ",")...) }

func (t Topic) compression() (codec kafka.Compression, err error) {
	if t.Codec != "none" {
		err = codec.UnmarshalText([]byte(t.Codec))
	}
	return codec, err
}

// firstOf shortens an error that has a line for each message.
func firstOf(err error) error {
	var each kafka.WriteErrors
	if errors.As(err, &each) {
		for _, one := range each {
			if one != nil {
				return one
			}
		}
	}
	return err
}
