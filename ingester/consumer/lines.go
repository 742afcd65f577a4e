package consumer

import (
	"bytes"
	"fmt"

	"github.com/logpipeline/logpipeline/ingester/kafka"
	"github.com/logpipeline/logpipeline/ingester/record"
)

// linesBytes is how much of a record batch becomes lines at once. Most batches
// are smaller.
const linesBytes = 1 << 20

// lines are records of one record batch as they are stored: each value and a
// line break. The buffer is used again for the next ones.
type lines struct {
	buffer []byte
	span   record.Span
	record kafka.Record
}

// read copies the batch's next records, as the run of offsets that begins at
// next; offsets before the batch that have no records are joined to it. There is
// more to read when linesBytes were reached. After an error, which is a
// kafka.ErrCorrupt or an *unstorableError, lines are what comes before the record
// in question.
func (l *lines) read(batch *kafka.RecordBatch, next int64) (more bool, err error) {
	l.buffer = l.buffer[:0]
	l.span = record.Span{BaseOffset: next, NextOffset: next, LeaderEpoch: batch.LeaderEpoch}
	for batch.Next(&l.record) {
		if defect := defectOf(l.record.Value); defect != "" {
			l.span.NextOffset = l.record.Offset
			return false, &unstorableError{l.record.Offset, defect}
		}
		l.buffer = append(append(l.buffer, l.record.Value...), '\n')
		l.count(l.record.Timestamp)
		l.span.NextOffset = l.record.Offset + 1
		if len(l.buffer) >= linesBytes {
			return true, nil
		}
	}
	if err := batch.Err(); err != nil {
		return false, err
	}
	l.span.NextOffset = batch.NextOffset
	return false, nil
}

func (l *lines) count(timestamp int64) {
	s := &l.span
	if s.Records == 0 {
		s.FirstTimestamp, s.LastTimestamp = timestamp, timestamp
	}
	s.FirstTimestamp = min(s.FirstTimestamp, timestamp)
	s.LastTimestamp = max(s.LastTimestamp, timestamp)
	s.Records++
}

// defectOf says why a value is not one line, or "".
func defectOf(value []byte) string {
	switch {
	case value == nil:
		return "is null"
	case len(value) == 0:
		return "is empty"
	case bytes.IndexByte(value, '\n') >= 0:
		return "contains a line break"
	}
	return ""
}

// unstorableError is a record that cannot be a line.
type unstorableError struct {
	offset int64
	defect string
}

func (e *unstorableError) Error() string {
	return fmt.Sprintf("the record at offset %d %s, so it is not one line", e.offset, e.defect)
}
