// Package broker is the Kafka that a benchmark writes to: one that discards, in
// a process of its own, or a real one that runs already.
package broker

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"time"

	"github.com/logpipeline/logpipeline/bench/process"
	"github.com/segmentio/kafka-go"
)

// A Broker has one topic for one benchmark.
type Broker struct {
	Address string
	Topic   string
	// Process is the discarding broker; nil for a real one.
	Process *process.Process

	partitions   int
	client       *kafka.Client
	program, log string // of the discarding broker
}

// StartDiscarding starts the program built from bench/discard.
func StartDiscarding(ctx context.Context, program, log string, partitions int) (*Broker, error) {
	address, err := process.FreeAddress()
	if err != nil {
		return nil, err
	}
	b := &Broker{Address: address, Topic: "logs", partitions: partitions, client: newClient(address), program: program, log: log}
	return b, b.Restart(ctx)
}

// Restart starts a discarding broker, new or closed, at its address. It has
// taken no message.
func (b *Broker) Restart(ctx context.Context) error {
	_, port, err := net.SplitHostPort(b.Address)
	if err != nil {
		return err
	}
	b.Process, err = process.Start(b.log, b.program, "--port", port, "--topic", b.Topic, "--partitions", strconv.Itoa(b.partitions))
	if err != nil {
		return err
	}
	if err := b.Process.AwaitListening(ctx, b.Address); err != nil {
		return errors.Join(err, b.Process.Stop(time.Second))
	}
	return nil
}

// UseRunning creates a topic of its own on a broker that runs.
func UseRunning(ctx context.Context, address, topic string, partitions int) (*Broker, error) {
	b := &Broker{Address: address, Topic: topic, partitions: partitions, client: newClient(address)}
	created, err := b.client.CreateTopics(ctx, &kafka.CreateTopicsRequest{
		Topics: []kafka.TopicConfig{{Topic: topic, NumPartitions: partitions, ReplicationFactor: 1}},
	})
	if err == nil {
		err = created.Errors[topic]
	}
	if err != nil {
		return nil, fmt.Errorf("create topic %q: %w", topic, err)
	}
	return b, nil
}

func newClient(address string) *kafka.Client {
	return &kafka.Client{Addr: kafka.TCP(address), Timeout: 30 * time.Second, Transport: &kafka.Transport{MetadataTTL: time.Second}}
}

// Messages is how many messages the topic has taken.
func (b *Broker) Messages(ctx context.Context) (int64, error) {
	ends := make([]kafka.OffsetRequest, b.partitions)
	for i := range ends {
		ends[i] = kafka.LastOffsetOf(i)
	}
	response, err := b.client.ListOffsets(ctx, &kafka.ListOffsetsRequest{Topics: map[string][]kafka.OffsetRequest{b.Topic: ends}})
	if err != nil {
		return 0, fmt.Errorf("count the messages of %q: %w", b.Topic, err)
	}
	var total int64
	for _, p := range response.Topics[b.Topic] {
		if p.Error != nil {
			return 0, fmt.Errorf("count the messages of %q, partition %d: %w", b.Topic, p.Partition, p.Error)
		}
		total += p.LastOffset
	}
	return total, nil
}

// Close stops the discarding broker; on a real one it deletes the topic.
func (b *Broker) Close(ctx context.Context) error {
	defer b.client.Transport.(*kafka.Transport).CloseIdleConnections()
	if b.Process != nil {
		return b.Process.Stop(10 * time.Second)
	}
	deleted, err := b.client.DeleteTopics(ctx, &kafka.DeleteTopicsRequest{Topics: []string{b.Topic}})
	if err == nil {
		err = deleted.Errors[b.Topic]
	}
	if err != nil {
		return fmt.Errorf("delete topic %q: %w", b.Topic, err)
	}
	return nil
}
