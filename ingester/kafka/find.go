package kafka

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"time"
)

// ErrSearchUndecided says that FindBatch saw too little of the log to tell
// whether the batch is in it.
var ErrSearchUndecided = errors.New("search of the log is undecided")

const (
	// searchMaxBytes and searchTimeout bound one FindBatch. What a writer
	// looks for is among the batches that came after its last acknowledged
	// one, seldom more than some seconds of one partition's traffic.
	searchMaxBytes = 1 << 30
	searchTimeout  = 30 * time.Second

	searchFetchBytes = 4 << 20
	searchWait       = 500 * time.Millisecond
)

// FindBatch looks for the batch that holds a sequence of a producer (id and
// epoch) among those of a partition from the offset from on, up to the offset
// to, which is excluded; a negative to is the end of what all in-sync replicas
// have when the search begins. It looks at the headers of batches only.
//
// With found, offset is that of the record with this sequence. Not found, with
// a nil error, is definite for the range: every offset of it was seen. It is
// ErrSearchUndecided when the log begins after from and the batch isn't in the
// rest, when to isn't reached, and when the range is larger than 1 GiB or takes
// longer than 30 s; otherwise the error is as from Fetch, or ErrCorrupt.
func (c *Client) FindBatch(ctx context.Context, topic string, partition int32, from, to int64, producer ProducerID, sequence int32) (offset int64, found bool, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, searchTimeout, fmt.Errorf("%w after %v", ErrSearchUndecided, searchTimeout))
	defer cancel()
	s := search{
		client: c, to: to, producer: producer, sequence: sequence,
		fetch: FetchRequest{
			Topic: topic, Partition: partition, Offset: max(from, 0), LeaderEpoch: -1,
			MaxBytes: searchFetchBytes, MinBytes: 1, MaxWait: searchWait, Uncommitted: true,
		},
	}
	offset, found, err = s.run(ctx)
	if err != nil {
		if cause := context.Cause(ctx); errors.Is(cause, ErrSearchUndecided) {
			err = cause
		}
		return 0, false, fmt.Errorf("look for producer %d, epoch %d, sequence %d in %s/%d from offset %d: %w",
			producer.ID, producer.Epoch, sequence, topic, partition, from, err)
	}
	return offset, found, nil
}

// search is one FindBatch.
type search struct {
	client   *Client
	to       int64
	producer ProducerID
	sequence int32
	fetch    FetchRequest
	reader   BatchReader
	read     int64 // bytes
}

func (s *search) run(ctx context.Context) (int64, bool, error) {
	start, err := s.client.listOffset(ctx, s.fetch.Topic, s.fetch.Partition, earliestOffset)
	if err != nil {
		return 0, false, err
	}
	var deleted error
	if start > s.fetch.Offset {
		deleted = fmt.Errorf("%w: the log begins at offset %d", ErrSearchUndecided, start)
		s.fetch.Offset = start
	}
	for s.to < 0 || s.fetch.Offset < s.to {
		offset, found, err := s.step(ctx)
		if found || err != nil {
			return offset, found, err
		}
	}
	return 0, false, deleted
}

// step looks through one fetch and moves on behind it.
func (s *search) step(ctx context.Context) (offset int64, found bool, err error) {
	if err := ctx.Err(); err != nil {
		return 0, false, err
	}
	if s.read > searchMaxBytes {
		return 0, false, fmt.Errorf("%w after %d bytes, at offset %d", ErrSearchUndecided, s.read, s.fetch.Offset)
	}
	response, err := s.client.Fetch(ctx, &s.fetch)
	if err != nil {
		return 0, false, err
	}
	if s.to < 0 {
		s.to = response.HighWatermark
	}
	if len(response.Records) == 0 && response.HighWatermark < s.to {
		return 0, false, fmt.Errorf("%w: offset %d isn't replicated yet", ErrSearchUndecided, s.to)
	}
	s.read += int64(len(response.Records))
	s.reader.Reset(response.Records, s.fetch.Offset, nil)
	for {
		batch, err := s.reader.NextHeader()
		if errors.Is(err, io.EOF) {
			return 0, false, nil
		}
		if err != nil {
			return 0, false, err
		}
		if at, holds := batch.position(s.producer, s.sequence); holds && batch.BaseOffset < s.to {
			return at, true, nil
		}
		s.fetch.Offset = batch.NextOffset
	}
}

// position is the offset of the record with this sequence, if the batch holds
// it. Sequences go on with 0 after the largest int32.
func (b *RecordBatch) position(producer ProducerID, sequence int32) (offset int64, holds bool) {
	delta := (int64(sequence) - int64(b.Sequence)) & math.MaxInt32
	if b.Producer != producer || b.Sequence < 0 || sequence < 0 || delta >= b.NextOffset-b.BaseOffset {
		return 0, false
	}
	return b.BaseOffset + delta, true
}
