package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/segmentio/kafka-go"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/logpipeline/logpipeline/api/v1alpha1"
)

// pipelines are made by one run, with topics of its own.
type pipelines struct {
	namespaces, count int
	partitions        int
	prefix            string
	kafka             string // as the operator is told
	broker            *kafka.Client
}

func newPipelines(o options, n int, address string) *pipelines {
	return &pipelines{
		namespaces: min(n, o.namespaces), count: n, partitions: o.partitions,
		prefix: "bench-" + uuid.NewString()[:8], kafka: address,
		broker: &kafka.Client{Addr: kafka.TCP(o.kafka), Timeout: time.Minute, Transport: &kafka.Transport{}},
	}
}

func (p *pipelines) topic(i int) string { return fmt.Sprintf("%s-%d", p.prefix, i) }

func (p *pipelines) namespace(i int) string { return fmt.Sprintf("bench-%d", i%p.namespaces) }

// pipeline is the least that one can be, but for the topic: both roles are
// scaled.
func (p *pipelines) pipeline(i int) *v1alpha1.LogPipeline {
	partitions := int32(p.partitions)
	return &v1alpha1.LogPipeline{
		ObjectMeta: metav1.ObjectMeta{Namespace: p.namespace(i), Name: fmt.Sprintf("pipeline-%d", i)},
		Spec: v1alpha1.LogPipelineSpec{
			Kafka:    v1alpha1.KafkaSpec{BootstrapServers: []string{p.kafka}},
			Topic:    v1alpha1.TopicSpec{Name: p.topic(i), Partitions: &partitions},
			Storage:  v1alpha1.StorageSpec{Type: v1alpha1.StorageEphemeral},
			Ingester: v1alpha1.IngesterSpec{Scaling: &v1alpha1.IngesterScalingSpec{Auto: &v1alpha1.IngesterAutoScaling{MaxReplicas: 10}}},
			Consumer: v1alpha1.ConsumerSpec{Scaling: &v1alpha1.ConsumerScalingSpec{Auto: &v1alpha1.ConsumerAutoScaling{MaxReplicas: 3}}},
		},
	}
}

func (p *pipelines) createNamespaces(ctx context.Context, c client.Client) error {
	for i := range p.namespaces {
		if err := c.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: p.namespace(i)}}); err != nil {
			return err
		}
	}
	return nil
}

// createRest applies all but the first, several at a time.
func (p *pipelines) createRest(ctx context.Context, c client.Client) error {
	const atOnce = 8
	failures := make([]error, atOnce)
	var group sync.WaitGroup
	for worker := range atOnce {
		group.Go(func() {
			for i := 1 + worker; i < p.count && failures[worker] == nil; i += atOnce {
				failures[worker] = c.Create(ctx, p.pipeline(i))
			}
		})
	}
	group.Wait()
	return errors.Join(failures...)
}

// every is how often each topic gets records.
const every = 10 * time.Second

// fillBehind writes records to every topic until ctx ends: the consumers,
// which do nothing, get ever further behind.
func (p *pipelines) fillBehind(ctx context.Context) error {
	writer := &kafka.Writer{Addr: p.broker.Addr, Transport: p.broker.Transport, RequiredAcks: kafka.RequireOne, BatchTimeout: time.Millisecond}
	messages := make([]kafka.Message, 0, 10*p.count)
	for i := range p.count {
		for range 10 {
			messages = append(messages, kafka.Message{Topic: p.topic(i), Value: []byte(`{"level":"info","message":"left behind"}`)})
		}
	}
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		err := writer.WriteMessages(ctx, messages...)
		if ctx.Err() != nil {
			return writer.Close()
		}
		if err != nil {
			return errors.Join(fmt.Errorf("fill topics: %w", err), writer.Close())
		}
		select {
		case <-ctx.Done():
			return writer.Close()
		case <-ticker.C:
		}
	}
}

// remove deletes the topics, some at a time.
func (p *pipelines) remove(ctx context.Context) error {
	defer p.broker.Transport.(*kafka.Transport).CloseIdleConnections()
	const atOnce = 50
	for from := 0; from < p.count; from += atOnce {
		var names []string
		for i := from; i < min(from+atOnce, p.count); i++ {
			names = append(names, p.topic(i))
		}
		if _, err := p.broker.DeleteTopics(ctx, &kafka.DeleteTopicsRequest{Topics: names}); err != nil {
			return fmt.Errorf("delete topics %s-…: %w", p.prefix, err)
		}
	}
	return nil
}
