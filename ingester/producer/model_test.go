package producer

import (
	"context"
	"errors"
	"hash/maphash"
	"io"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	kafkago "github.com/segmentio/kafka-go"

	"github.com/logpipeline/logpipeline/ingester/config"
	"github.com/logpipeline/logpipeline/ingester/kafka"
)

// model is a cluster that does what Kafka promises an idempotent producer, and
// fails in every way that it may. It checks that no numbers that may have been
// appended are ever used for other bytes.
type model struct {
	t       *testing.T
	mu      sync.Mutex
	random  *rand.Rand
	faults  int // of 100 requests
	limits  config.Producer
	logs    map[int32]*modelLog
	next    int64
	started map[numbers]uint64 // hash of the bytes under numbers in doubt or appended
	seed    maphash.Seed
}

type modelLog struct {
	values    []string
	appended  []modelAppend
	producers map[int64]modelProducer
	late      []modelBatch // on their way still, although their sender gave them up
}

type modelProducer struct {
	epoch     int16
	next      int32 // sequence
	last      int32 // first sequence of the last batch
	lastCount int
	lastBase  int64
}

type modelBatch struct {
	producer kafka.ProducerID
	sequence int32
	values   []string
}

type modelAppend struct {
	batch modelBatch
	base  int64
}

type numbers struct {
	partition int32
	producer  kafka.ProducerID
	sequence  int32
}

func newModel(t *testing.T, seed uint64, partitions int32, faults int) *model {
	m := &model{
		t: t, random: rand.New(rand.NewPCG(seed, 1)), faults: faults, limits: small,
		logs: map[int32]*modelLog{}, started: map[numbers]uint64{}, seed: maphash.MakeSeed(),
	}
	for p := range partitions {
		m.addPartition(p)
	}
	return m
}

func (m *model) addPartition(p int32) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.logs[p] = &modelLog{producers: map[int64]modelProducer{}}
}

func (m *model) fails() bool { return m.random.IntN(100) < m.faults }

func (m *model) Topic(_ context.Context, name string) (kafka.Topic, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fails() {
		return kafka.Topic{}, kafka.UnknownTopic
	}
	topic := kafka.Topic{Name: name}
	for p := range int32(len(m.logs)) {
		topic.Partitions = append(topic.Partitions, kafka.Partition{ID: p, Leader: int32(m.random.IntN(3)) - 1})
	}
	return topic, nil
}

func (m *model) InitProducerID(context.Context) (kafka.ProducerID, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fails() {
		return kafka.ProducerID{}, &kafka.ExchangeError{Sent: true, Err: io.ErrUnexpectedEOF}
	}
	m.next++
	return kafka.ProducerID{ID: m.next, Epoch: 32767 - int16(m.next%3)}, nil // epochs run out soon
}

func (m *model) Produce(_ context.Context, request *kafka.ProduceRequest) (int64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	batch := m.parse(request.Batch)
	log := m.logs[request.Partition]
	if len(log.late) > 0 && m.random.IntN(3) == 0 {
		log.append(log.late[0])
		log.late = log.late[1:]
	}
	if !m.fails() {
		return m.appendNow(request, log, batch)
	}
	switch m.random.IntN(8) {
	case 0:
		return 0, &kafka.ExchangeError{Sent: false, Err: errors.New("refused")}
	case 1:
		return 0, kafkago.NotEnoughReplicas
	case 2: // lost on its way there
		m.begin(request, batch)
		return 0, &kafka.ExchangeError{Sent: true, Err: io.ErrUnexpectedEOF}
	case 3: // slow on its way there
		m.begin(request, batch)
		log.late = append(log.late, batch)
		return 0, kafkago.RequestTimedOut
	case 4: // the acknowledgement is lost
		_, _ = m.appendNow(request, log, batch)
		return 0, &kafka.ExchangeError{Sent: true, Err: context.DeadlineExceeded}
	case 5: // the leader moves after it appended
		_, _ = m.appendNow(request, log, batch)
		m.begin(request, batch)
		return 0, kafkago.NotLeaderForPartition
	case 6: // a failure without a code, before or after it appended
		if m.random.IntN(2) == 0 {
			_, _ = m.appendNow(request, log, batch)
		}
		m.begin(request, batch)
		return 0, kafkago.Unknown
	default: // what is known of the producer has expired, and nothing of it is under way
		log.late = nil
		delete(log.producers, batch.producer.ID)
		return 0, kafkago.UnknownProducerId
	}
}

func (m *model) Offsets(_ context.Context, _ string, partition int32) (start, end int64, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fails() {
		return 0, 0, kafkago.NotLeaderForPartition
	}
	return 0, int64(len(m.logs[partition].values)), nil
}

func (m *model) FindBatch(_ context.Context, _ string, partition int32, from, to int64, producer kafka.ProducerID, sequence int32) (int64, bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	log := m.logs[partition]
	if to < 0 {
		to = int64(len(log.values))
	}
	if m.fails() {
		return 0, false, []error{kafka.ErrSearchUndecided, &kafka.ExchangeError{Sent: true, Err: io.ErrUnexpectedEOF}, kafkago.TopicAuthorizationFailed}[m.random.IntN(3)]
	}
	for _, a := range log.appended {
		if a.base >= from && a.base < to && a.batch.producer == producer && a.batch.sequence == sequence {
			return a.base, true, nil
		}
	}
	return 0, false, nil
}

// begin notes that the batch may be in the log from now on.
func (m *model) begin(request *kafka.ProduceRequest, batch modelBatch) {
	n := numbers{request.Partition, batch.producer, batch.sequence}
	hash := maphash.Bytes(m.seed, request.Batch)
	if before, ok := m.started[n]; ok && before != hash {
		m.t.Errorf("numbers %+v are used for other bytes", n)
	}
	m.started[n] = hash
}

func (m *model) appendNow(request *kafka.ProduceRequest, log *modelLog, batch modelBatch) (int64, error) {
	for _, v := range batch.values {
		if strings.Contains(v, "giant") {
			return 0, kafkago.MessageSizeTooLarge
		}
	}
	offset, err := log.append(batch)
	if err == nil {
		m.begin(request, batch)
	}
	return offset, err
}

// append follows Kafka's ProducerAppendInfo.
func (l *modelLog) append(batch modelBatch) (int64, error) {
	p, known := l.producers[batch.producer.ID]
	switch epoch := batch.producer.Epoch; {
	case !known:
	case epoch < p.epoch:
		return 0, kafkago.InvalidProducerEpoch
	case epoch > p.epoch && batch.sequence != 0:
		return 0, kafkago.OutOfOrderSequenceNumber
	case epoch > p.epoch:
	case batch.sequence == p.last && len(batch.values) == p.lastCount:
		return p.lastBase, nil
	case batch.sequence != p.next:
		return 0, kafkago.OutOfOrderSequenceNumber
	}
	base := int64(len(l.values))
	l.values = append(l.values, batch.values...)
	l.appended = append(l.appended, modelAppend{batch, base})
	l.producers[batch.producer.ID] = modelProducer{
		epoch: batch.producer.Epoch, next: batch.sequence + int32(len(batch.values)),
		last: batch.sequence, lastCount: len(batch.values), lastBase: base,
	}
	return base, nil
}

func (m *model) parse(raw []byte) modelBatch {
	var reader kafka.BatchReader
	reader.Reset(raw, 0, nil)
	batch, err := reader.Next()
	if err != nil {
		m.t.Fatalf("batch sent: %v", err)
	}
	parsed := modelBatch{producer: batch.Producer, sequence: batch.Sequence}
	for r := (kafka.Record{}); batch.Next(&r); {
		parsed.values = append(parsed.values, string(r.Value))
	}
	if batch.Err() != nil || len(parsed.values) != batch.Count {
		m.t.Fatalf("batch sent: %v, %d records of %d", batch.Err(), len(parsed.values), batch.Count)
	}
	if batch.Count > m.limits.BatchRecords || batch.Count > 1 && len(raw) > int(m.limits.BatchBytes) {
		m.t.Errorf("batch sent: %d records, %d bytes, the limits are %+v", batch.Count, len(raw), m.limits)
	}
	return parsed
}

// settle lets everything that is still under way arrive.
func (m *model) settle() {
	for _, log := range m.logs {
		for _, batch := range log.late {
			_, _ = log.append(batch)
		}
	}
}

// contents are the logs by partition.
func (m *model) contents() map[int32][]string {
	all := map[int32][]string{}
	for p, log := range m.logs {
		all[p] = log.values
	}
	return all
}
