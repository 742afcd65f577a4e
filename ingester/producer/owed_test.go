package producer

import (
	"context"
	"errors"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	kafkago "github.com/segmentio/kafka-go"

	"github.com/logpipeline/logpipeline/ingester/kafka"
	"github.com/logpipeline/logpipeline/ingester/record"
)

// during answers with r until so much time has passed, and then as usual.
func during(d time.Duration, r ...reply) func(int, *kafka.ProduceRequest) reply {
	end := time.Now().Add(d)
	return func(n int, _ *kafka.ProduceRequest) reply {
		if time.Now().Before(end) {
			return r[min(n, len(r)-1)]
		}
		return asUsual
	}
}

// What the spool has is sent until Kafka takes it, far beyond the delivery
// timeout, and is in the log once.
func TestSpooledRecordsAreSentUntilKafkaTakesThem(t *testing.T) {
	lost := reply{err: errLost}
	for name, c := range map[string]struct {
		replies []reply
		fail    int // of the journal
	}{
		"never appended":             {replies: []reply{{err: kafkago.NotEnoughReplicas}}},
		"not reached":                {replies: []reply{{err: &kafka.ExchangeError{Err: kafka.ErrUnreachable}}}},
		"no permission":              {replies: []reply{{err: kafkago.TopicAuthorizationFailed}}},
		"lost":                       {replies: []reply{lost}},
		"the answer is lost":         {replies: []reply{{append: true, err: errLost}, lost}},
		"refused, then lost":         {replies: []reply{{err: kafkago.NotEnoughReplicas}, lost}},
		"the journal's disk is full": {replies: []reply{asUsual}, fail: 50},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newScript(t)
				s.produce = during(2*time.Hour, c.replies...)
				one, two := spooled(t, 5, "a", "b"), spooled(t, 6, "c")
				source := newSource(one, two)
				source.close() // the end of the queue is no reason to leave anything
				j, l := &journal{fail: c.fail}, &letters{}
				if err := newProducer(t, small, s, source, Options{Journal: j, DeadLetters: l}).Run(t.Context()); err != nil {
					t.Error(err)
				}
				for _, b := range []*record.Batch{one, two} {
					if o := outcome(t, b); o.Err != nil {
						t.Errorf("outcome of %d is %v", b.Position, o.Err)
					}
				}
				if diff := cmp.Diff([]string{value("a"), value("b"), value("c")}, s.logs[0].values); diff != "" {
					t.Errorf("log (-want +got):\n%s", diff)
				}
				if diff := cmp.Diff([]record.AssignedSection{{Position: 5, To: 2}, {Position: 6, To: 1}}, j.settled); diff != "" {
					t.Errorf("settled (-want +got):\n%s", diff)
				}
				for _, batch := range s.sent {
					if batch.producer != id(1, 0) {
						t.Errorf("sent as %v, though nothing was given up", batch.producer)
					}
				}
				if len(l.put) > 0 || source.reserved() != 0 {
					t.Errorf("dead letters %+v; %d bytes were not released", l.put, source.reserved())
				}
			})
		})
	}
}

// A record batch whose numbers the brokers don't take any more, and that is not
// in the log behind a fence, is sent anew.
func TestSpooledRecordsThatAreAbsentAreSentAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScript(t, reply{err: errLost}, reply{err: kafkago.OutOfOrderSequenceNumber})
		source, j, l := newSource(spooled(t, 5, "a")), &journal{}, &letters{}
		done := make(chan error, 1)
		go func() {
			done <- newProducer(t, small, s, source, Options{Journal: j, DeadLetters: l}).Run(t.Context())
		}()
		time.Sleep(time.Hour)
		source.put(spooled(t, 6, "fence"))
		source.close()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if diff := cmp.Diff([]string{value("fence"), value("a")}, s.logs[0].values); diff != "" {
			t.Errorf("log (-want +got):\n%s", diff)
		}
		want := []numbers{{producer: id(1, 0)}, {producer: id(1, 0)}, {producer: id(1, 1)}, {producer: id(1, 1), sequence: 1}}
		if diff := cmp.Diff(want, s.numbersOf(), cmp.AllowUnexported(numbers{})); diff != "" {
			t.Errorf("numbers (-want +got):\n%s", diff)
		}
		if len(j.settled) != 2 || len(l.put) > 0 || source.reserved() != 0 {
			t.Errorf("settled %+v, dead letters %+v, %d bytes were not released", j.settled, l.put, source.reserved())
		}
	})
}

// Of one record batch, a client that waits is told at the delivery timeout, and
// what nobody waits for goes on.
func TestWhoWaitsIsToldAndTheRestGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScript(t)
		s.produce = during(time.Hour, reply{err: kafkago.NotEnoughReplicas})
		waits, left := newBatch(t, "waits", "a"), spooled(t, 6, "b")
		waits.Position = 5
		source, j, l := newSource(waits, left), &journal{}, &letters{}
		source.close()
		began := time.Now()
		done := make(chan error, 1)
		go func() {
			done <- newProducer(t, small, s, source, Options{Journal: j, DeadLetters: l}).Run(t.Context())
		}()
		if o := <-settled(waits); !errors.Is(o.Err, record.ErrNotDelivered) || time.Since(began) > 2*time.Second {
			t.Errorf("whoever waits is told %v after %v", o.Err, time.Since(began))
		}
		if err := <-done; err != nil {
			t.Error(err)
		}
		if o := outcome(t, left); o.Err != nil {
			t.Error(o.Err)
		}
		if diff := cmp.Diff([]string{value("b")}, s.logs[0].values); diff != "" {
			t.Errorf("log (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff([]record.AssignedSection{{Position: 5, To: 1}, {Position: 6, To: 1}}, j.settled); diff != "" {
			t.Errorf("settled (-want +got):\n%s", diff)
		}
		if len(l.put) > 0 || source.reserved() != 0 {
			t.Errorf("dead letters %+v; %d bytes were not released", l.put, source.reserved())
		}
	})
}

// What is owed at the hard deadline stays in the spool.
func TestWhatIsOwedIsLeftToTheSpool(t *testing.T) {
	for name, r := range map[string]reply{"not delivered": {err: kafkago.NotEnoughReplicas}, "in doubt": {err: errLost}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
				defer cancel()
				s := newScript(t)
				s.produce = func(int, *kafka.ProduceRequest) reply { return r }
				b := spooled(t, 5, "a")
				source, j, l := newSource(b), &journal{}, &letters{}
				if err := newProducer(t, small, s, source, Options{Journal: j, DeadLetters: l}).Run(ctx); !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("Run: %v", err)
				}
				if o := outcome(t, b); !errors.Is(o.Err, record.ErrOutcomeUnknown) {
					t.Errorf("outcome is %v", o.Err)
				}
				if len(j.settled)+len(l.put) > 0 || source.reserved() != 0 {
					t.Errorf("settled %+v, dead letters %+v, %d bytes were not released", j.settled, l.put, source.reserved())
				}
			})
		})
	}
}

// Whatever goes wrong, of what the spool has only those records are
// dead-lettered that the topic refuses, or of which nobody can know. (The spool
// keeps those in doubt that nothing was sent behind.)
func TestOutcomesOfTheSpoolAreTrue(t *testing.T) {
	var sum tally
	for seed := range uint64(120) {
		synctest.Test(t, func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 5))
			m := newModel(t, seed, 1+random.Int32N(3), int(10+seed%80))
			batches := randomBatches(t, random)
			for i, b := range batches {
				b.Position = uint64(i + 1)
				b.Leave()
			}
			s := newSource(batches...)
			s.close()
			if seed%2 == 0 {
				m.limits.KeyField = "text"
			}
			j, l := &safeJournal{}, &letters{}
			if err := newProducer(t, m.limits, m, s, Options{Journal: j, DeadLetters: l}).Run(t.Context()); err != nil {
				t.Error(err)
			}
			m.settle()
			c := checkOutcomes(t, batches, m.contents())
			j.check(t, batches, m.contents(), l.put)
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
	if sum.notDelivered > 0 || min(sum.acknowledged, sum.refused, sum.unknown) == 0 {
		t.Errorf("outcomes are %+v: want none that is not delivered, and some of each other", sum)
	}
}
