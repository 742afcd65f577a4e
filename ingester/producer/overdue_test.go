package producer

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/logpipeline/logpipeline/ingester/config"
	"github.com/logpipeline/logpipeline/ingester/kafka"
	"github.com/logpipeline/logpipeline/ingester/queue"
	"github.com/logpipeline/logpipeline/ingester/record"
)

// unreachable is a Kafka that nobody reaches.
type unreachable struct{}

func (unreachable) Topic(context.Context, string) (kafka.Topic, error) {
	return kafka.Topic{}, kafka.ErrUnreachable
}

func (unreachable) InitProducerID(context.Context) (kafka.ProducerID, error) {
	return kafka.ProducerID{}, kafka.ErrUnreachable
}

func (unreachable) Produce(context.Context, *kafka.ProduceRequest) (int64, error) {
	return 0, kafka.ErrUnreachable
}

func (unreachable) Offsets(context.Context, string, int32) (start, end int64, err error) {
	return 0, 0, kafka.ErrUnreachable
}

func (unreachable) FindBatch(context.Context, string, int32, int64, int64, kafka.ProducerID, int32) (int64, bool, error) {
	return 0, false, kafka.ErrUnreachable
}

// away runs a producer without a Kafka on a queue that holds one batch.
func away(ctx context.Context, t *testing.T) (*queue.Queue, *record.Batch, <-chan error) {
	q := queue.New(2000, prometheus.NewRegistry())
	b := newBatch(t, "waiting", "a", "b")
	b.Received = time.Now()
	b.Account = q.NewAccount()
	if err := errors.Join(b.Account.Reserve(b.Reserved), q.Put(b)); err != nil {
		t.Fatal(err)
	}
	cfg := config.Default().Producer
	cfg.DeliveryTimeoutSeconds = 10
	p, err := New(cfg, "logs", unreachable{}, q, Options{}, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- p.Run(ctx) }()
	return q, b, ended
}

func TestBatchThatNobodyCanTakeIsGivenUpInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		q, b, ended := away(t.Context(), t)
		o := <-b.Outcome()
		if !errors.Is(o.Err, record.ErrNotDelivered) || !errors.Is(o.Err, errOverdue) {
			t.Errorf("outcome is %v, want not delivered, overdue", o.Err)
		}
		if waited := time.Since(began); waited < 10*time.Second || waited > 11*time.Second {
			t.Errorf("given up after %v, want about 10 s", waited)
		}
		other := q.NewAccount()
		if err := other.Reserve(q.MaxBytes()); err != nil {
			t.Errorf("its bytes were not given back: %v", err)
		}
		other.Cancel(q.MaxBytes())
		q.Close()
		if err := <-ended; err != nil {
			t.Errorf("Run = %v after the queue's end, want nil", err)
		}
	})
}

func TestEmptyQueueEndsWithoutKafka(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, b, ended := away(t.Context(), t)
		<-b.Outcome()
		began := time.Now()
		q.Close()
		if err := <-ended; err != nil || time.Since(began) > time.Second {
			t.Errorf("Run = %v after %v, want nil at once", err, time.Since(began))
		}
	})
}

func TestHardDeadlineEmptiesTheQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		_, b, ended := away(ctx, t)
		cancel()
		err := <-ended
		if !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "with 2 records in the queue") {
			t.Errorf("Run = %v, want the context's error and 2 records", err)
		}
		if o := <-b.Outcome(); !errors.Is(o.Err, record.ErrNotDelivered) {
			t.Errorf("outcome is %v, want not delivered", o.Err)
		}
	})
}
