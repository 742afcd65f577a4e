package producer

import (
	"context"
	"errors"
	"io"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/prometheus/client_golang/prometheus/testutil"
	kafkago "github.com/segmentio/kafka-go"

	"github.com/logpipeline/logpipeline/ingester/kafka"
	"github.com/logpipeline/logpipeline/ingester/record"
)

// journal is a spool's journal in memory.
type journal struct {
	assigned []record.Assignment
	settled  []record.AssignedSection
	fail     int // of the next assignments
}

func (j *journal) Assign(_ context.Context, a record.Assignment) error {
	if j.fail--; j.fail >= 0 {
		return errors.New("disk is full")
	}
	j.assigned = append(j.assigned, a)
	return nil
}

func (j *journal) Settle(a record.Assignment) { j.settled = append(j.settled, a.Sections...) }

// spooled is a batch that has a place in the spool.
func spooled(t *testing.T, position uint64, texts ...string) *record.Batch {
	b := newBatch(t, "spooled", texts...)
	b.Position = position
	b.Acknowledged = b.Leave()
	return b
}

var ignoreTime = cmpopts.IgnoreFields(record.Assignment{}, "Time")

// What is sent is in the journal before, and what need not be sent again after.
func TestJournal(t *testing.T) {
	stopped := errors.New("stopped")
	for name, c := range map[string]struct {
		replies  []reply
		fail     int
		letters  error // why dead letters aren't taken
		assigned []record.Assignment
		settled  []record.AssignedSection
		buried   int
		log      int
	}{
		"delivered": {
			assigned: []record.Assignment{{ProducerID: 1, Sections: []record.AssignedSection{{Position: 5, To: 3}}}},
			settled:  []record.AssignedSection{{Position: 5, To: 3}},
			log:      3,
		},
		"sent again under the same numbers": {
			replies:  []reply{{err: kafkago.NotEnoughReplicas}, {append: true, err: errLost}},
			assigned: []record.Assignment{{ProducerID: 1, Sections: []record.AssignedSection{{Position: 5, To: 3}}}},
			settled:  []record.AssignedSection{{Position: 5, To: 3}},
			log:      3,
		},
		"the journal's disk is full at first": {
			fail:     2,
			assigned: []record.Assignment{{ProducerID: 1, Sections: []record.AssignedSection{{Position: 5, To: 3}}}},
			settled:  []record.AssignedSection{{Position: 5, To: 3}},
			log:      3,
		},
		"one record is refused": {
			replies: []reply{{err: kafkago.InvalidRecord}, asUsual, {err: kafkago.InvalidRecord}, {err: kafkago.InvalidRecord}},
			assigned: []record.Assignment{
				{ProducerID: 1, Sections: []record.AssignedSection{{Position: 5, To: 3}}},
				{ProducerID: 1, Sections: []record.AssignedSection{{Position: 5, To: 1}}},
				{ProducerID: 1, Sequence: 1, After: 1, Sections: []record.AssignedSection{{Position: 5, From: 1, To: 3}}},
				{ProducerID: 1, Sequence: 1, After: 1, Sections: []record.AssignedSection{{Position: 5, From: 1, To: 2}}},
				{ProducerID: 1, Sequence: 1, After: 1, Sections: []record.AssignedSection{{Position: 5, From: 2, To: 3}}},
			},
			settled: []record.AssignedSection{{Position: 5, To: 1}, {Position: 5, From: 2, To: 3}, {Position: 5, From: 1, To: 2}},
			buried:  1,
			log:     2,
		},
		"refused, and no place for dead letters": {
			replies: slices.Repeat([]reply{{err: kafkago.InvalidRecord}}, 5),
			letters: errors.New("full"),
			assigned: []record.Assignment{
				{ProducerID: 1, Sections: []record.AssignedSection{{Position: 5, To: 3}}},
				{ProducerID: 1, Sections: []record.AssignedSection{{Position: 5, To: 1}}},
				{ProducerID: 1, Sections: []record.AssignedSection{{Position: 5, From: 1, To: 3}}},
				{ProducerID: 1, Sections: []record.AssignedSection{{Position: 5, From: 1, To: 2}}},
				{ProducerID: 1, Sections: []record.AssignedSection{{Position: 5, From: 2, To: 3}}},
			},
		},
		"stopped": {
			replies:  []reply{{err: stopped}},
			assigned: []record.Assignment{{ProducerID: 1, Sections: []record.AssignedSection{{Position: 5, To: 3}}}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				s := newScript(t)
				s.produce = func(n int, request *kafka.ProduceRequest) reply {
					r := inTurn(c.replies...)(n, request)
					if errors.Is(r.err, stopped) {
						cancel()
						return reply{err: &kafka.ExchangeError{Sent: true, Err: context.Canceled}}
					}
					return r
				}
				j, l := &journal{fail: c.fail}, &letters{fail: c.letters}
				b := spooled(t, 5, "a", "b", "c")
				source := newSource(b)
				source.close()
				err := newProducer(t, small, s, source, Options{Journal: j, DeadLetters: l}).Run(ctx)
				if err != nil && ctx.Err() == nil {
					t.Error(err)
				}
				if diff := cmp.Diff(c.assigned, j.assigned, ignoreTime); diff != "" {
					t.Errorf("assigned (-want +got):\n%s", diff)
				}
				if diff := cmp.Diff(c.settled, j.settled); diff != "" {
					t.Errorf("settled (-want +got):\n%s", diff)
				}
				if len(l.put) != c.buried || len(s.logs[0].values) != c.log {
					t.Errorf("%d dead letters and %d records in the log, want %d and %d", len(l.put), len(s.logs[0].values), c.buried, c.log)
				}
				if source.reserved() != 0 {
					t.Errorf("%d bytes were not released", source.reserved())
				}
			})
		})
	}
}

// A batch of an earlier run comes first, and is in the log once afterwards.
func TestReopened(t *testing.T) {
	lost := &kafka.ExchangeError{Sent: true, Err: io.ErrUnexpectedEOF}
	hour := time.Hour
	for name, c := range map[string]struct {
		age      time.Duration
		inLog    bool // before the restart
		replies  []reply
		find     error
		want     error
		log      []string
		sent     []numbers // of the reopened batch
		assigned int
		unknown  bool // it is dead-lettered as such
	}{
		"in the log":      {age: hour, inLog: true, log: []string{"old", "new"}, sent: []numbers{{producer: id(7, 3), sequence: 40}}},
		"not in the log":  {age: hour, log: []string{"old", "new"}, sent: []numbers{{producer: id(7, 3), sequence: 40}}},
		"ack lost again":  {age: hour, replies: []reply{{append: true, err: lost}}, log: []string{"old", "new"}, sent: []numbers{{producer: id(7, 3), sequence: 40}, {producer: id(7, 3), sequence: 40}}},
		"old and in it":   {age: 13 * hour, inLog: true, log: []string{"old", "new"}},
		"old, not in it":  {age: 13 * hour, log: []string{"old", "new"}, sent: []numbers{{producer: id(7, 4)}}, assigned: 1},
		"fenced, in it":   {age: hour, inLog: true, replies: []reply{{err: kafkago.InvalidProducerEpoch}}, log: []string{"old", "new"}, sent: []numbers{{producer: id(7, 3), sequence: 40}}},
		"fenced, not":     {age: hour, replies: []reply{{err: kafkago.InvalidProducerEpoch}}, log: []string{"old", "new"}, sent: []numbers{{producer: id(7, 3), sequence: 40}, {producer: id(7, 4)}}, assigned: 1},
		"can't be read":   {age: hour, inLog: true, replies: []reply{{err: kafkago.OutOfOrderSequenceNumber}}, find: kafkago.TopicAuthorizationFailed, want: record.ErrOutcomeUnknown, log: []string{"old", "new"}, sent: []numbers{{producer: id(7, 3), sequence: 40}}, unknown: true},
		"refused, absent": {age: hour, replies: []reply{{err: kafkago.InvalidRecord}, {err: kafkago.InvalidRecord}}, want: record.ErrRefused, log: []string{"new"}, sent: []numbers{{producer: id(7, 3), sequence: 40}, {producer: id(7, 4)}}, assigned: 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newScript(t, c.replies...)
				s.find = c.find
				if c.inLog {
					if _, err := s.logs[0].append(modelBatch{producer: id(7, 3), sequence: 40, values: []string{value("old")}}); err != nil {
						t.Fatal(err)
					}
				}
				old, young := spooled(t, 5, "old"), spooled(t, 6, "new")
				reopened := record.Reopened{
					Assignment: record.Assignment{
						ProducerID: 7, ProducerEpoch: 3, Sequence: 40, Time: time.Now().Add(-c.age),
						Sections: []record.AssignedSection{{Position: 5, To: 1}},
					},
					Batches: []*record.Batch{old},
				}
				j, l := &journal{}, &letters{}
				source := newSource(young)
				source.close()
				source.Release(-old.Reserved)
				old.Account = source
				options := Options{Journal: j, DeadLetters: l, Reopened: []record.Reopened{reopened}}
				if err := newProducer(t, small, s, source, options).Run(t.Context()); err != nil {
					t.Error(err)
				}
				if o := outcome(t, old); !errors.Is(o.Err, c.want) {
					t.Errorf("outcome is %v, want %v", o.Err, c.want)
				}
				var log []string
				for _, text := range c.log {
					log = append(log, value(text))
				}
				if diff := cmp.Diff(log, s.logs[0].values); diff != "" {
					t.Errorf("log (-want +got):\n%s", diff)
				}
				sent := s.numbersOf()
				if diff := cmp.Diff(c.sent, sent[:len(sent)-1:len(sent)-1], cmp.AllowUnexported(numbers{}), cmpopts.EquateEmpty()); diff != "" {
					t.Errorf("numbers (-want +got):\n%s", diff)
				}
				if diff := cmp.Diff([]record.AssignedSection{{Position: 5, To: 1}, {Position: 6, To: 1}}, j.settled); diff != "" {
					t.Errorf("settled (-want +got):\n%s", diff)
				}
				if len(j.assigned) != c.assigned+1 {
					t.Errorf("assigned %+v, want %d and the new one", j.assigned, c.assigned)
				}
				if got := len(l.put) == 1 && l.put[0].Unknown && l.put[0].Acknowledged; got != c.unknown {
					t.Errorf("dead letters are %+v, want an unknown one: %v", l.put, c.unknown)
				}
				if source.reserved() != 0 {
					t.Errorf("%d bytes were not released", source.reserved())
				}
			})
		})
	}
}

// What couldn't be settled stays in the spool for the next run, and its client,
// if one waits, is told that nobody knows.
func TestReopenedIsLeftToTheSpool(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		s := newScript(t)
		s.produce = func(int, *kafka.ProduceRequest) reply { return reply{err: errLost} }
		here, elsewhere, waiting := spooled(t, 5, "a"), spooled(t, 6, "b"), spooled(t, 7, "c")
		source := newSource(waiting)
		j, l := &journal{}, &letters{}
		var reopened []record.Reopened
		for partition, b := range []*record.Batch{here, elsewhere} { // there is no partition 1
			b.Account = source
			source.Release(-b.Reserved)
			a := record.Assignment{Partition: int32(partition), ProducerID: 7, Sections: []record.AssignedSection{{Position: b.Position, To: 1}}, Time: time.Now()}
			reopened = append(reopened, record.Reopened{Assignment: a, Batches: []*record.Batch{b}})
		}
		err := newProducer(t, small, s, source, Options{Journal: j, DeadLetters: l, Reopened: reopened}).Run(ctx)
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Run: %v", err)
		}
		for _, b := range []*record.Batch{here, elsewhere} {
			if o := outcome(t, b); !errors.Is(o.Err, record.ErrOutcomeUnknown) {
				t.Errorf("outcome of %d is %v", b.Position, o.Err)
			}
		}
		if len(j.settled)+len(j.assigned)+len(l.put) != 0 {
			t.Errorf("settled %+v, assigned %+v, dead letters %+v", j.settled, j.assigned, l.put)
		}
		if source.reserved() != waiting.Reserved {
			t.Errorf("%d bytes are reserved, want those of the one in the queue", source.reserved())
		}
	})
}

// Two requests share a record batch that nobody can decide about, and only one
// can be dead-lettered: neither is settled, or the journal would take the other
// for one that was never sent.
func TestHalfBuriedIsNotSettled(t *testing.T) {
	for name, c := range map[string]struct {
		taken   int // dead letters
		settled int // sections
	}{"one": {1, 0}, "both": {2, 2}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newScript(t, reply{append: true, err: errLost}, reply{err: kafkago.OutOfOrderSequenceNumber})
				s.find = kafkago.TopicAuthorizationFailed
				source := newSource(spooled(t, 5, "a"), spooled(t, 6, "b"))
				j, l := &journal{}, &fewLetters{room: c.taken}
				p := newProducer(t, small, s, source, Options{Journal: j, DeadLetters: l})
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				done := make(chan error, 1)
				go func() { done <- p.Run(ctx) }()
				time.Sleep(time.Second)
				source.put(spooled(t, 7, "fence"))
				source.close()
				if err := <-done; err != nil {
					t.Error(err)
				}
				settled := slices.DeleteFunc(j.settled, func(s record.AssignedSection) bool { return s.Position == 7 })
				if len(settled) != c.settled {
					t.Errorf("settled %+v, want %d sections", settled, c.settled)
				}
				if got := testutil.ToFloat64(p.metrics.lost); got != 0 {
					t.Errorf("%v records are counted as lost", got)
				}
			})
		})
	}
}

// fewLetters has room for so many dead letters.
type fewLetters struct {
	mu   sync.Mutex
	room int
}

func (l *fewLetters) Put(_ context.Context, letters []record.DeadLetter) []error {
	l.mu.Lock()
	defer l.mu.Unlock()
	errs := make([]error, len(letters))
	for i := range letters {
		if l.room--; l.room < 0 {
			errs[i] = errors.New("full")
		}
	}
	return errs
}

// safeJournal is a journal for several workers.
type safeJournal struct {
	mu sync.Mutex
	journal
}

func (j *safeJournal) Assign(ctx context.Context, a record.Assignment) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.journal.Assign(ctx, a)
}

func (j *safeJournal) Settle(a record.Assignment) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.journal.Settle(a)
}

// check: what is settled is in Kafka, or dead-lettered because the topic refuses
// it or nobody knows, and settled once; only what nobody knows may be left.
func (j *safeJournal) check(t *testing.T, batches []*record.Batch, logs map[int32][]string, letters []record.DeadLetter) {
	t.Helper()
	settled, buried := map[string]map[int]int{}, map[string]map[int]int{}
	for _, b := range batches {
		settled[b.ID], buried[b.ID] = map[int]int{}, map[int]int{}
		for _, s := range j.settled {
			for i := s.From; s.Position == b.Position && i < s.To; i++ {
				settled[b.ID][i]++
			}
		}
	}
	for _, l := range letters {
		for i := range l.Records {
			buried[l.Batch][l.FirstRecord+i]++
		}
	}
	for _, b := range batches {
		o := outcome(t, b)
		placed, unknown := checkPlacements(t, b, o, logs), errors.Is(o.Err, record.ErrOutcomeUnknown)
		for i := range recordsOf(b) {
			n := buried[b.ID][i]
			if placed[i] {
				n++
			}
			if settled[b.ID][i] != n || n > 1 || n == 0 && !unknown || errors.Is(o.Err, record.ErrNotDelivered) {
				t.Errorf("batch %s: record %d is placed %v, dead-lettered %d times and settled %d times: %v", b.ID, i, placed[i], buried[b.ID][i], settled[b.ID][i], o.Err)
			}
		}
	}
}
