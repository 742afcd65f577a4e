package producer

import (
	"github.com/logpipeline/logpipeline/ingester/kafka"
	"github.com/logpipeline/logpipeline/ingester/record"
)

// The headers of the first record that a request has in a record batch. By them
// a record that is in Kafka twice can be told from two that are alike.
const (
	batchHeader       = "logpipeline-batch"
	idempotencyHeader = "idempotency-key"
)

// parcel is the record batch that a worker fills: the same sections always
// make the same bytes.
type parcel struct {
	builder  *kafka.BatchBuilder
	keys     record.Key
	sections []section

	batch string // whose headers these are
	first []record.Header
	id    []byte
	key   []byte
}

func (p *parcel) reset() {
	p.builder.Reset()
	clear(p.sections)
	p.sections = p.sections[:0]
	p.batch = ""
}

// add appends the records of a section until a limit is reached, and returns
// which is the first that didn't fit. One record always fits.
func (p *parcel) add(s section, limits limits) (next int) {
	headers := p.headersOf(s.request.batch)
	timestamp := s.request.batch.Received.UnixMilli()
	i := s.from
	for ; i < s.to; i++ {
		value := s.request.record(i)
		key := p.keyOf(value)
		if n := p.builder.Len(); n > 0 && (n >= limits.records || p.builder.Size()+kafka.MaxRecordSize(key, value, headers) > limits.bytes) {
			break
		}
		p.builder.Append(timestamp, key, value, headers)
		headers = s.request.batch.Headers
	}
	if i > s.from {
		p.sections = append(p.sections, section{s.request, s.from, i})
	}
	return i
}

// encode fills the parcel anew, with all of the sections.
func (p *parcel) encode(sections []section) {
	p.reset()
	for _, s := range sections {
		p.add(s, unlimited)
	}
}

// headersOf are the headers of the next record, of this batch.
func (p *parcel) headersOf(b *record.Batch) []record.Header {
	if p.builder.Len() > 0 && p.batch == b.ID {
		return b.Headers // a part of the same batch came before this one
	}
	p.batch, p.id = b.ID, append(p.id[:0], b.ID...)
	p.first = append(p.first[:0], record.Header{Key: batchHeader, Value: p.id})
	if b.IdempotencyKey != "" {
		p.first = append(p.first, record.Header{Key: idempotencyHeader, Value: []byte(b.IdempotencyKey)})
	}
	p.first = append(p.first, b.Headers...)
	return p.first
}

func (p *parcel) keyOf(value []byte) []byte {
	if p.keys == nil {
		return nil
	}
	p.key = p.key[:0]
	key, found := p.keys(p.key, value)
	p.key = key
	if !found {
		return nil
	}
	return key
}
