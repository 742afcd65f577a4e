package producer

import (
	"context"
	"errors"
	"io"
	"math"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
	kafkago "github.com/segmentio/kafka-go"

	"github.com/logpipeline/logpipeline/ingester/config"
	"github.com/logpipeline/logpipeline/ingester/kafka"
	"github.com/logpipeline/logpipeline/ingester/record"
)

// scripted is the model with answers of one's own.
type scripted struct {
	*model
	epoch   int16                                            // of new producer ids
	produce func(n int, request *kafka.ProduceRequest) reply // to the n-th request
	sent    []modelBatch
	acks    []kafka.RequiredAcks
	find    error
	refuse  func(value string) error // why a record is refused
	away    bool
}

func (s *scripted) comeBack() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.away = false
}

// reply is what becomes of a request: appended or not, and what is answered.
type reply struct {
	append bool
	err    error
}

var (
	asUsual = reply{append: true}
	errLost = &kafka.ExchangeError{Sent: true, Err: io.ErrUnexpectedEOF}
)

func (s *scripted) InitProducerID(context.Context) (kafka.ProducerID, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.next++
	return kafka.ProducerID{ID: s.next, Epoch: s.epoch}, nil
}

func (s *scripted) Topic(context.Context, string) (kafka.Topic, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.away {
		return kafka.Topic{}, kafka.ErrUnreachable
	}
	topic := kafka.Topic{Name: "logs"}
	for p := range int32(len(s.logs)) {
		topic.Partitions = append(topic.Partitions, kafka.Partition{ID: p, Leader: 1})
	}
	return topic, nil
}

func (s *scripted) Produce(_ context.Context, request *kafka.ProduceRequest) (int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	batch := s.parse(request.Batch)
	s.sent, s.acks = append(s.sent, batch), append(s.acks, request.Acks)
	for _, v := range batch.values {
		if s.refuse != nil && s.refuse(v) != nil {
			return 0, s.refuse(v)
		}
	}
	r := s.produce(len(s.sent)-1, request)
	if !r.append {
		var sent *kafka.ExchangeError
		if errors.As(r.err, &sent) {
			s.begin(request, batch)
		}
		return 0, r.err
	}
	offset, err := s.appendNow(request, s.logs[request.Partition], batch)
	return offset, errors.Join(r.err, err)
}

func (s *scripted) FindBatch(ctx context.Context, topic string, partition int32, from, to int64, producer kafka.ProducerID, sequence int32) (int64, bool, error) {
	if s.find != nil {
		return 0, false, s.find
	}
	return s.model.FindBatch(ctx, topic, partition, from, to, producer, sequence)
}

// numbersOf are those under which batches were sent.
func (s *scripted) numbersOf() (all []numbers) {
	for _, b := range s.sent {
		all = append(all, numbers{producer: b.producer, sequence: b.sequence})
	}
	return all
}

// inTurn answers the n-th request with the n-th reply, and later ones as usual.
func inTurn(replies ...reply) func(int, *kafka.ProduceRequest) reply {
	return func(n int, _ *kafka.ProduceRequest) reply {
		if n < len(replies) {
			return replies[n]
		}
		return asUsual
	}
}

func newScript(t *testing.T, replies ...reply) *scripted {
	return &scripted{model: newModel(t, 1, 1, 0), produce: inTurn(replies...)}
}

func id(producer int64, epoch int16) kafka.ProducerID {
	return kafka.ProducerID{ID: producer, Epoch: epoch}
}

// Batches that come one after another, the answers to what is sent, and the
// numbers that it is sent under.
func TestNumbersOfADoubt(t *testing.T) {
	lost := reply{err: errLost}
	for name, c := range map[string]struct {
		replies []reply
		epoch   int16
		find    error
		want    []error // of the first, second and third batch
		sent    []numbers
		log     []string
	}{
		"appended, and the id forgotten": {
			replies: []reply{{append: true, err: errLost}, {err: kafkago.UnknownProducerId}},
			want:    []error{nil, nil, nil},
			sent:    []numbers{{producer: id(1, 0)}, {producer: id(1, 0)}, {producer: id(1, 1)}, {producer: id(1, 1), sequence: 1}},
			log:     []string{"one", "two", "three"},
		},
		"not appended, and the id forgotten": {
			replies: []reply{lost, {err: kafkago.UnknownProducerId}},
			want:    []error{record.ErrNotDelivered, nil, nil},
			sent:    []numbers{{producer: id(1, 0)}, {producer: id(1, 0)}, {producer: id(1, 1)}, {producer: id(1, 1), sequence: 1}},
			log:     []string{"two", "three"},
		},
		"fenced by another": {
			replies: []reply{lost, {err: kafkago.InvalidProducerEpoch}},
			want:    []error{record.ErrNotDelivered, nil, nil},
			sent:    []numbers{{producer: id(1, 0)}, {producer: id(1, 0)}, {producer: id(2, 0)}, {producer: id(2, 0), sequence: 1}},
			log:     []string{"two", "three"},
		},
		"the last epoch but one": {
			replies: []reply{lost, {err: kafkago.DuplicateSequenceNumber}}, epoch: math.MaxInt16 - 1,
			want: []error{record.ErrNotDelivered, nil, nil},
			sent: []numbers{{producer: id(1, math.MaxInt16-1)}, {producer: id(1, math.MaxInt16-1)}, {producer: id(1, math.MaxInt16)}, {producer: id(2, math.MaxInt16-1)}},
			log:  []string{"two", "three"},
		},
		"no epoch is left": {
			replies: []reply{lost, {err: kafkago.OutOfOrderSequenceNumber}}, epoch: math.MaxInt16,
			want: []error{record.ErrOutcomeUnknown, nil, nil},
			sent: []numbers{{producer: id(1, math.MaxInt16)}, {producer: id(1, math.MaxInt16)}, {producer: id(2, math.MaxInt16)}, {producer: id(3, math.MaxInt16)}},
			log:  []string{"two", "three"},
		},
		"no permission to read": {
			replies: []reply{{append: true, err: errLost}, {err: kafkago.OutOfOrderSequenceNumber}}, find: kafkago.TopicAuthorizationFailed,
			want: []error{record.ErrOutcomeUnknown, nil, nil},
			sent: []numbers{{producer: id(1, 0)}, {producer: id(1, 0)}, {producer: id(1, 1)}, {producer: id(1, 1), sequence: 1}},
			log:  []string{"one", "two", "three"},
		},
		"no permission to write": {
			replies: []reply{{err: kafkago.TopicAuthorizationFailed}},
			want:    []error{record.ErrNotDelivered, nil, nil},
			sent:    []numbers{{producer: id(1, 0)}, {producer: id(1, 0)}, {producer: id(1, 0), sequence: 1}},
			log:     []string{"two", "three"},
		},
		"two in doubt": {
			replies: []reply{lost, {err: kafkago.Unknown}, {append: true, err: kafkago.Unknown}},
			want:    []error{record.ErrOutcomeUnknown, nil, nil},
			sent:    []numbers{{producer: id(1, 0)}, {producer: id(1, 0)}, {producer: id(1, 1)}, {producer: id(1, 2)}},
			log:     []string{"two", "three"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newScript(t, c.replies...)
				s.epoch, s.find = c.epoch, c.find
				one, two, three := newBatch(t, "1", "one"), newBatch(t, "2", "two"), newBatch(t, "3", "three")
				source := newSource(one, two, three)
				source.close()
				cfg := small
				cfg.BatchRecords = 1
				if err := newProducer(t, cfg, s, source, Options{}).Run(t.Context()); err != nil {
					t.Error(err)
				}
				for i, b := range []*record.Batch{one, two, three} {
					if o := outcome(t, b); !errors.Is(o.Err, c.want[i]) {
						t.Errorf("batch %d: %v, want %v", i+1, o.Err, c.want[i])
					}
				}
				if diff := cmp.Diff(c.sent, s.numbersOf(), cmp.AllowUnexported(numbers{})); diff != "" {
					t.Errorf("numbers (-want +got):\n%s", diff)
				}
				var log []string
				for _, text := range c.log {
					log = append(log, value(text))
				}
				if diff := cmp.Diff(log, s.logs[0].values); diff != "" {
					t.Errorf("log (-want +got):\n%s", diff)
				}
			})
		})
	}
}

// requiredAcks One: no producer id, so that what is sent again may be there
// twice.
func TestOneAcknowledgementIsNotIdempotent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScript(t, reply{append: true, err: errLost})
		s.started = nil // numbers mean nothing here
		b := newBatch(t, "1", "one")
		source := newSource(b)
		source.close()
		cfg := small
		cfg.RequiredAcks = config.RequiredAcksOne
		s.produce = func(n int, request *kafka.ProduceRequest) reply {
			s.logs[0].values = append(s.logs[0].values, s.sent[n].values...)
			if n == 0 {
				return reply{err: kafkago.RequestTimedOut}
			}
			return reply{}
		}
		if err := newProducer(t, cfg, s, source, Options{}).Run(t.Context()); err != nil {
			t.Error(err)
		}
		if o := outcome(t, b); o.Err != nil {
			t.Error(o.Err)
		}
		want := []numbers{{producer: kafka.NoProducer, sequence: -1}, {producer: kafka.NoProducer, sequence: -1}}
		if diff := cmp.Diff(want, s.numbersOf(), cmp.AllowUnexported(numbers{})); diff != "" {
			t.Errorf("numbers (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff([]kafka.RequiredAcks{kafka.AcksOne, kafka.AcksOne}, s.acks); diff != "" {
			t.Errorf("acks (-want +got):\n%s", diff)
		}
	})
}
