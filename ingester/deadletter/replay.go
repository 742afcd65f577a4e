package deadletter

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/logpipeline/logpipeline/ingester/kafka"
	"github.com/logpipeline/logpipeline/ingester/record"
)

// Replayer puts records back where they should have gone.
type Replayer struct {
	// Client asks and writes; *kafka.Client is one. It must know both topics.
	Client interface {
		Reader
		Writer
	}
	// Topic is where the records go, and DeadLetterTopic ("" for none) and Dir
	// where they are.
	Topic, DeadLetterTopic, Dir string
	// Key finds the keys of records as the producer of Topic does.
	Key record.Key
	// Batch, unless it is empty, is the only batch whose records are replayed.
	Batch string
	// IncludeUnknown also replays records that may be in the topic already.
	IncludeUnknown bool
	// IncludeUnacknowledged also replays records whose client holds no receipt
	// for them. It had to take the request for failed, and has sent, or will
	// send, the records again by itself, unless it is gone for good.
	IncludeUnacknowledged bool
}

// Result is what a replay did, in records.
type Result struct {
	Replayed int `json:"replayedRecords"`
	// Before were replayed earlier.
	Before int `json:"replayedBeforeRecords"`
	// The others were left: of another topic or batch; for their outcome is
	// unknown; for nobody holds a receipt; since the topic refused them again.
	OfAnother      int `json:"ofAnotherTopicOrBatchRecords"`
	Unknown        int `json:"unknownRecords"`
	Unacknowledged int `json:"unacknowledgedRecords"`
	Refused        int `json:"refusedRecords"`
	// Refusal is why the last of those was.
	Refusal string `json:"refusal,omitempty"`
	// Corrupt is the number of files that can't be read.
	Corrupt int `json:"corruptFiles"`
}

// Replay puts the records back that are to be, each once. Their Kafka timestamp
// is the present, or a topic whose retention is shorter than they are old would
// delete them at once; a header says when they were received. What it has put back
// it marks, by a record in the dead-letter topic and by taking it out of its file. A
// replay that ends between the two, or in doubt, has to be repeated, and puts
// some records into the topic twice; both have the header HeaderIdentity with
// the same value.
//
// The result holds also with an error, which says why not all was done.
// Nothing is replayed unless everything could be looked at first. Two replays
// must not run at the same time.
func (r *Replayer) Replay(ctx context.Context) (Result, error) {
	inv, err := Scan(ctx, r.Client, r.DeadLetterTopic, r.Dir)
	if err != nil {
		return Result{}, err
	}
	p := &replay{Replayer: r, inventory: inv, result: Result{Before: inv.Replayed, Corrupt: len(inv.Corrupt)}, parts: map[int32]*part{}}
	for i := range inv.Letters {
		if left := p.leave(&inv.Letters[i]); left != nil {
			*left += inv.Letters[i].Pending
		}
	}
	if p.log, err = newAppender(ctx, r.Client, r.Topic); err != nil {
		return p.result, err
	}
	if r.DeadLetterTopic != "" {
		p.marks = &topic{r.Client, r.DeadLetterTopic}
		if err := readTopic(ctx, r.Client, r.DeadLetterTopic, func(rec *kafka.Record, headers []record.Header) error {
			return p.fromTopic(ctx, rec, headers)
		}); err != nil {
			return p.result, err
		}
		if err := p.flush(ctx); err != nil {
			return p.result, err
		}
	}
	return p.result, p.fromFolder(ctx)
}

// replay is one Replay.
type replay struct {
	*Replayer
	inventory *Inventory
	log       *appender
	marks     *topic // nil without one
	batch     string // whose records are in parts
	taken     indices
	parts     map[int32]*part
	result    Result
}

// leave is what counts the records of a letter that isn't replayed, nil for
// one that is.
func (p *replay) leave(e *Entry) *int {
	switch {
	case e.Topic != p.Topic, p.Batch != "" && p.Batch != e.Batch:
		return &p.result.OfAnother
	case e.Unknown && !p.IncludeUnknown:
		return &p.result.Unknown
	case !e.Acknowledged && !p.IncludeUnacknowledged:
		return &p.result.Unacknowledged
	}
	return nil
}

func (p *replay) fromTopic(ctx context.Context, r *kafka.Record, headers []record.Header) error {
	if l, index, err := readHeaders(headers); err == nil {
		return p.take(ctx, l, index, r.Value, headers[ownHeaders:])
	}
	return nil // a marker, or foreign
}

// held is one record on its way.
type held struct {
	index      int
	key, value []byte
	headers    []record.Header
}

func (h held) size() int { return kafka.MaxRecordSize(h.key, h.value, h.headers) }

// part is what goes to one partition.
type part struct {
	records []held
	bytes   int
}

// take takes one record along, if it is to be replayed and wasn't. The value
// and headers are copied.
func (p *replay) take(ctx context.Context, l Letter, index int, value []byte, headers []record.Header) error {
	e := p.inventory.entries[l.name()]
	if e == nil || p.leave(e) != nil || p.inventory.replayed(l.Batch).has(index) {
		return nil
	}
	if p.batch != l.Batch {
		if err := p.flush(ctx); err != nil {
			return err
		}
		p.batch, p.taken = l.Batch, indices{}
	}
	if p.taken.has(index) {
		return nil // it is kept twice
	}
	p.taken.add(index)
	h := held{index: index, value: append([]byte{}, value...)}
	h.headers = append(h.headers,
		record.Header{Key: HeaderIdentity, Value: []byte(identity(l.Batch, strconv.Itoa(index)))},
		record.Header{Key: headerReceived, Value: []byte(l.Received.Format(time.RFC3339Nano))})
	for _, own := range headers {
		h.headers = append(h.headers, record.Header{Key: own.Key, Value: append([]byte(nil), own.Value...)})
	}
	if p.Key != nil {
		if key, found := p.Key([]byte{}, value); found {
			h.key = key
		}
	}
	partition := p.log.partitionOf(h.key, l)
	to := p.parts[partition]
	if to == nil {
		to = &part{}
		p.parts[partition] = to
	}
	if len(to.records) > 0 && to.bytes+h.size() > batchBytes {
		if err := p.flushPart(ctx, partition, to); err != nil {
			return err
		}
	}
	to.records = append(to.records, h)
	to.bytes += h.size()
	return nil
}

// flush writes all that was taken along.
func (p *replay) flush(ctx context.Context) error {
	for partition, part := range p.parts {
		if err := p.flushPart(ctx, partition, part); err != nil {
			return err
		}
	}
	return nil
}

// flushPart writes what goes to one partition, and marks it. Where the topic
// refuses it, the records are tried one by one.
func (p *replay) flushPart(ctx context.Context, partition int32, to *part) error {
	records := to.records
	to.records, to.bytes = nil, 0
	if len(records) == 0 {
		return nil
	}
	err := p.write(ctx, partition, records)
	if !refused(err) {
		return err
	}
	if len(records) == 1 {
		p.result.Refused++
		p.result.Refusal = err.Error()
		return nil
	}
	for i := range records {
		if err := p.flushPart(ctx, partition, &part{records: records[i : i+1]}); err != nil {
			return err
		}
	}
	return nil
}

func (p *replay) write(ctx context.Context, partition int32, records []held) error {
	if err := p.log.append(ctx, partition, records); err != nil {
		return fmt.Errorf("replay %d records of batch %s: %w", len(records), p.batch, err)
	}
	p.result.Replayed += len(records)
	replayed := make([]int, len(records))
	for i, h := range records {
		replayed[i] = h.index
		p.inventory.replayed(p.batch).add(h.index)
	}
	if p.marks == nil {
		return nil
	}
	if err := p.marks.mark(ctx, p.batch, replayed); err != nil {
		// Not wrapped: it would look like a refusal of the records.
		return fmt.Errorf("records %s of batch %s were replayed, but could not be marked so: another replay would put them into the topic twice: %s", formatIndices(replayed), p.batch, err.Error())
	}
	return nil
}
