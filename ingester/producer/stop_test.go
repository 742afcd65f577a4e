package producer

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/logpipeline/logpipeline/ingester/kafka"
	"github.com/logpipeline/logpipeline/ingester/record"
)

// silent is a Kafka that from some time on takes requests and never answers.
type silent struct {
	*scripted
	from time.Time
}

func (s *silent) wait(ctx context.Context) error {
	if time.Now().Before(s.from) {
		return nil
	}
	<-ctx.Done()
	return &kafka.ExchangeError{Sent: true, Err: ctx.Err()}
}

func (s *silent) Produce(ctx context.Context, r *kafka.ProduceRequest) (int64, error) {
	if err := s.wait(ctx); err != nil {
		return 0, err
	}
	return s.scripted.Produce(ctx, r)
}

func (s *silent) Offsets(ctx context.Context, topic string, partition int32) (int64, int64, error) {
	if err := s.wait(ctx); err != nil {
		return 0, 0, err
	}
	return s.scripted.Offsets(ctx, topic, partition)
}

// timedLetters keeps letters while their time isn't over, each taking some.
type timedLetters struct {
	letters
	each time.Duration
}

func (l *timedLetters) Put(ctx context.Context, letters []record.DeadLetter) []error {
	errs := make([]error, len(letters))
	for i := range letters {
		if errs[i] = ctx.Err(); errs[i] == nil {
			time.Sleep(l.each)
			errs[i] = errors.Join(l.letters.Put(ctx, letters[i:i+1])...)
		}
	}
	return errs
}

// leftover is a source that hands over, in the end, what nobody took.
type leftover struct{ *source }

func (s leftover) TakeOlder(t time.Time, into []*record.Batch) ([]*record.Batch, error) {
	for time.Now().Before(t) {
		select {
		case b := <-s.batches:
			into = append(into, b)
			continue
		default:
		}
		break
	}
	return into, nil
}

// Kafka is silent, one record batch is in doubt, others wait, and the process
// is told to stop: the search that gets no answer doesn't take the time in
// which what was acknowledged is to be kept.
func TestSilentKafkaTakesNoTimeFromDeadLetters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &silent{newScript(t), time.Now().Add(time.Second)}
		cfg := small
		cfg.DeliveryTimeoutSeconds = 600
		source, l := leftover{newSource()}, &timedLetters{each: 10 * time.Millisecond}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- newProducer(t, cfg, s, source, Options{DeadLetters: l}).Run(ctx) }()
		time.Sleep(2 * time.Second)
		for i := range 100 {
			b := newBatch(t, string(rune('a'+i)), "x", "y")
			b.Received = time.Now()
			b.Leave()
			source.put(b)
			if i == 0 {
				time.Sleep(time.Second) // it is sent alone
			}
		}
		stopped := time.Now()
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		if took := time.Since(stopped); took > searchesOutlast+lettersOutlast {
			t.Errorf("stopped after %v, want at most %v", took, searchesOutlast+lettersOutlast)
		}
		if kept := l.all(); len(kept) != 100 || source.reserved() != 0 {
			t.Errorf("%d dead letters, want 100; %d bytes were not released", len(kept), source.reserved())
		}
	})
}

// A disk that is too slow for what is left can't keep the process from
// stopping in time; what it didn't take is counted.
func TestSlowDiskDoesNotHoldUpTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScript(t)
		s.away = true
		source, l := leftover{newSource()}, &timedLetters{each: time.Second}
		for i := range 100 {
			b := newBatch(t, string(rune('a'+i)), "x", "y")
			b.Received = time.Now()
			b.Leave()
			source.put(b)
		}
		ctx, cancel := context.WithCancel(t.Context())
		p := newProducer(t, small, s, source, Options{DeadLetters: l})
		cancel()
		began := time.Now()
		if err := p.Run(ctx); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		if took := time.Since(began); took > lettersOutlast+time.Second {
			t.Errorf("stopped after %v", took)
		}
		if kept, lost := len(l.all()), int(testutil.ToFloat64(p.metrics.lost)); kept == 0 || lost == 0 || 2*kept+lost != 200 || source.reserved() != 0 {
			t.Errorf("%d letters of 2 records kept, %d records lost, %d bytes reserved; want 200 records in all", kept, lost, source.reserved())
		}
	})
}
