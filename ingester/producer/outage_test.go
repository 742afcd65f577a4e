package producer

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/logpipeline/logpipeline/ingester/config"
	"github.com/logpipeline/logpipeline/ingester/kafka"
	"github.com/logpipeline/logpipeline/ingester/queue"
	"github.com/logpipeline/logpipeline/ingester/signal"
	"github.com/logpipeline/logpipeline/ingester/spool"
)

// Kafka is away for much longer than the delivery timeout. What is acknowledged
// because the spool has it is in the log once when Kafka is back, and nothing
// is dead-lettered.
func TestSpoolOutlastsAnOutage(t *testing.T) {
	for name, do := range map[string]mischief{"not reached": loseRequest, "answers are lost": loseAnswer, "silent": blackhole} {
		t.Run("fake, "+name, func(t *testing.T) {
			t.Parallel()
			outage(t, newFake(t).ListenAddrs()[0], "logs", do)
		})
	}
	t.Run("real, silent", func(t *testing.T) {
		t.Parallel()
		address := realBroker(t)[0]
		outage(t, address, newTopic(t, []string{address}, 1), blackhole)
	})
}

func outage(t *testing.T, broker, topic string, do mischief) {
	network := newProxy(t, broker)
	client := kafka.New(config.Kafka{BootstrapServers: []string{network.address()}, ClientID: "test"}, topic)
	reg, quiet := prometheus.NewRegistry(), slog.New(slog.DiscardHandler)
	q := queue.New(1<<20, reg)
	s, err := spool.Open(spool.Options{Dir: t.TempDir(), MaxBytes: 16 << 20}, q, quiet, reg)
	if err != nil {
		t.Fatal(err)
	}
	cfg, l := config.Default().Producer, &letters{}
	cfg.DeliveryTimeoutSeconds = 1
	p, err := New(cfg, topic, client, q, Options{DeadLetters: l, Journal: s, Reopened: s.Reopened()}, quiet, reg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	var running sync.WaitGroup
	delivered := make(chan error, 1)
	running.Go(func() { _ = s.Run(ctx) }) // it has no error
	running.Go(func() { delivered <- p.Run(ctx) })
	t.Cleanup(func() {
		cancel()
		running.Wait()
		client.Close()
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})

	var want []string
	account := q.NewAccount()
	take := func(n int) {
		t.Helper()
		for range n {
			b := newBatch(t, fmt.Sprint(len(want)), fmt.Sprintf("record %d", len(want)))
			want = append(want, recordsOf(b)...)
			b.Received, b.Acknowledged = time.Now(), b.Leave()
			b.Account, b.Reserved = account, b.Memory()
			if err := errors.Join(account.Reserve(b.Reserved), s.Append(t.Context(), b)); err != nil {
				t.Fatal(err)
			}
		}
	}
	take(10)
	eventually(t, "the first records are delivered", func() bool { return s.PendingRecords() == 0 })
	network.misbehave(func() mischief { return do })
	began := time.Now()
	eventually(t, "the outage outlasts the delivery timeout", func() bool {
		take(1)
		return time.Since(began) > 3*time.Second && p.progress.failed.Load() >= 2
	})
	if s.PendingRecords() == 0 {
		t.Error("nothing is pending: there was no outage")
	}
	network.misbehave(func() mischief { return honest })
	eventually(t, "everything is delivered", func() bool { return s.PendingRecords() == 0 })
	q.Close()
	if err := <-delivered; err != nil {
		t.Error(err)
	}
	got := contents(t, client, topic, 0)
	slices.Sort(got)
	slices.Sort(want)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("log (-want +got):\n%s", diff)
	}
	if len(l.all()) > 0 {
		t.Errorf("dead letters: %+v", l.all())
	}
	var signals signal.Ingester
	p.Signals(&signals)
	batches := int64(testutil.ToFloat64(p.metrics.batches)) // with those that the log was searched for
	if n := signals.ProducedBatches; n < 1 || n > batches || signals.ProduceSeconds <= 0 || signals.ProduceRetries < 2 || signals.KafkaUnreachable {
		t.Errorf("signals are %+v; the metrics have %d batches", signals, batches)
	}
}

func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(60 * time.Second); !condition(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within a minute: %s", what)
		}
	}
}
