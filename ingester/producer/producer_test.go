package producer

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"github.com/logpipeline/logpipeline/ingester/config"
	"github.com/logpipeline/logpipeline/ingester/kafka"
	"github.com/logpipeline/logpipeline/ingester/record"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var small = config.Producer{BatchRecords: 7, BatchBytes: 400, BatchMaxDelayMilliseconds: 5, DeliveryTimeoutSeconds: 1}

func newProducer(t testing.TB, cfg config.Producer, client Client, source Source, options Options) *Producer {
	t.Helper()
	p, err := New(cfg, "logs", client, source, options, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// Whatever goes wrong, every outcome is true, and what nobody hears of is
// dead-lettered. The model decides by chance, in virtual time.
func TestOutcomesAreTrue(t *testing.T) {
	var sum tally
	for seed := range uint64(120) {
		synctest.Test(t, func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 0))
			m := newModel(t, seed, 1+random.Int32N(3), int(10+seed%80))
			batches := randomBatches(t, random)
			unheard := map[string]bool{}
			for _, b := range batches {
				if random.IntN(2) == 0 {
					unheard[b.ID] = b.Leave()
				}
			}
			s := newSource(batches...)
			s.close()
			m.limits.BatchBytes = config.Bytes(150 + random.IntN(500)) // some records are larger
			if seed%2 == 0 {
				m.limits.KeyField = "text"
			}
			l := &letters{}
			if err := newProducer(t, m.limits, m, s, Options{DeadLetters: l}).Run(t.Context()); err != nil {
				t.Error(err)
			}
			m.settle()
			c := checkOutcomes(t, batches, m.contents())
			checkLetters(t, batches, unheard, m.contents(), l.put)
			sum = tally{sum.acknowledged + c.acknowledged, sum.notDelivered + c.notDelivered, sum.refused + c.refused, sum.unknown + c.unknown}
			if s.reserved() != 0 {
				t.Errorf("%d bytes were not released", s.reserved())
			}
		})
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
	t.Logf("%+v", sum)
	if min(sum.acknowledged, sum.notDelivered, sum.refused, sum.unknown) == 0 {
		t.Error("the model doesn't try everything")
	}
}

func randomBatches(t *testing.T, random *rand.Rand) []*record.Batch {
	var batches []*record.Batch
	for i := range 30 {
		var texts []string
		for k := range 1 + random.IntN(20) {
			text := fmt.Sprintf("batch %d record %d %s", i, k, strings.Repeat("x", random.IntN(100)))
			if random.IntN(100) == 0 {
				text += "giant"
			}
			texts = append(texts, text)
		}
		batches = append(batches, newBatch(t, fmt.Sprint(i), texts...))
	}
	return batches
}

// At the hard deadline everything in hand is completed, whatever the cluster
// does, and what was not taken stays in the source.
func TestHardDeadline(t *testing.T) {
	for seed := range uint64(60) {
		synctest.Test(t, func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 0))
			m := newModel(t, seed, 2, 60)
			batches := randomBatches(t, random)
			s := newSource(batches...)
			ctx, cancel := context.WithTimeout(t.Context(), time.Duration(random.IntN(1000))*time.Millisecond)
			defer cancel()
			if err := newProducer(t, small, m, s, Options{DeadLetters: &letters{}}).Run(ctx); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("Run: %v", err)
			}
			m.settle()
			taken := batches[:len(batches)-len(s.batches)]
			checkOutcomes(t, taken, m.contents())
			if want := int64(1000 * len(s.batches)); s.reserved() != want {
				t.Errorf("%d bytes are reserved, want %d", s.reserved(), want)
			}
		})
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

func TestNewPartitionGetsAWorker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newModel(t, 1, 1, 0)
		s := newSource()
		done := make(chan error)
		go func() { done <- newProducer(t, small, m, s, Options{DeadLetters: &letters{}}).Run(t.Context()) }()
		synctest.Wait()
		m.addPartition(1)
		time.Sleep(refreshInterval + time.Second)
		var batches []*record.Batch
		for i := range 10 {
			b := newBatch(t, fmt.Sprint(i), fmt.Sprint("record ", i))
			batches = append(batches, b)
			s.put(b)
			time.Sleep(time.Second)
		}
		s.close()
		if err := <-done; err != nil {
			t.Error(err)
		}
		checkOutcomes(t, batches, m.contents())
		if c := m.contents(); len(c[0]) == 0 || len(c[1]) == 0 {
			t.Errorf("partitions hold %d and %d records", len(c[0]), len(c[1]))
		}
	})
}

// While Kafka can't be reached, nothing is taken: it fills the queue, and the
// queue refuses what is new.
func TestNothingIsTakenWhileKafkaIsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newModel(t, 1, 1, 100)
		s := newSource(newBatch(t, "a", "a"))
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		if err := newProducer(t, small, m, s, Options{DeadLetters: &letters{}}).Run(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Run: %v", err)
		}
		if len(s.batches) != 1 {
			t.Error("the batch was taken")
		}
	})
}

func TestIdentity(t *testing.T) {
	fresh := identity{producer: kafka.ProducerID{ID: 9, Epoch: 3}, sequence: 5, known: true}
	for name, c := range map[string]struct {
		from   identity
		change func(*identity)
		want   identity
	}{
		"advance": {fresh, func(i *identity) { i.advance(10) }, identity{fresh.producer, 15, true}},
		"advance to the largest": {
			identity{fresh.producer, 1<<31 - 2, true}, func(i *identity) { i.advance(1) }, identity{fresh.producer, 1<<31 - 1, true},
		},
		"advance past the largest": {
			identity{fresh.producer, 1<<31 - 2, true}, func(i *identity) { i.advance(5) }, identity{fresh.producer, 3, true},
		},
		"raise": {fresh, (*identity).raiseEpoch, identity{kafka.ProducerID{ID: 9, Epoch: 4}, 0, true}},
		"raise the last epoch": {
			identity{kafka.ProducerID{ID: 9, Epoch: 1<<15 - 1}, 5, true}, (*identity).raiseEpoch, identity{},
		},
		"renew": {fresh, func(i *identity) { i.renew(kafka.ProducerID{ID: 10}) }, identity{kafka.ProducerID{ID: 10}, 0, true}},
	} {
		t.Run(name, func(t *testing.T) {
			got := c.from
			if c.change(&got); got != c.want {
				t.Errorf("got %+v, want %+v", got, c.want)
			}
		})
	}
}

func TestHalve(t *testing.T) {
	a, b, c := &request{}, &request{}, &request{}
	all := []section{{a, 0, 3}, {b, 5, 6}, {c, 0, 4}}
	first, second := halve(all)
	opt := cmp.Comparer(func(x, y section) bool { return x == y })
	if diff := cmp.Diff([]section{{a, 0, 3}, {b, 5, 6}}, first, opt); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]section{{c, 0, 4}}, second, opt); diff != "" {
		t.Error(diff)
	}
	first, second = halve(first[:1])
	if diff := cmp.Diff([]section{{a, 0, 1}, {a, 1, 3}}, append(first, second...), opt); diff != "" {
		t.Error(diff)
	}
}

func TestBackoffIsBounded(t *testing.T) {
	for attempt := range 100 {
		if d := backoff(attempt); d < minBackoff/2 || d > maxBackoff {
			t.Errorf("attempt %d waits %v", attempt, d)
		}
	}
}

func TestNewRefuses(t *testing.T) {
	for field, change := range map[string]func(*config.Producer){
		"keyField":                  func(c *config.Producer) { c.KeyField = "a..b" },
		"compression":               func(c *config.Producer) { c.Compression = "best" },
		"batchRecords":              func(c *config.Producer) { c.BatchRecords = 0 },
		"batchBytes":                func(c *config.Producer) { c.BatchBytes = 0 },
		"batchMaxDelayMilliseconds": func(c *config.Producer) { c.BatchMaxDelayMilliseconds = -1 },
		"deliveryTimeoutSeconds":    func(c *config.Producer) { c.DeliveryTimeoutSeconds = 0 },
	} {
		cfg := small
		change(&cfg)
		_, err := New(cfg, "logs", nil, nil, Options{}, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
		if err == nil || !strings.Contains(err.Error(), field) {
			t.Errorf("%s: %v", field, err)
		}
	}
}
