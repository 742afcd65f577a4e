package consumer

import (
	"context"
	"fmt"

	"github.com/logpipeline/logpipeline/ingester/kafka"
)

// Reasons for which a partition stops, beside those that the storage has.
const (
	stopUnstorable     = "RecordUnstorable"
	stopCorrupt        = "BatchCorrupt"
	stopTopicRecreated = "TopicRecreated"
	stopRetention      = "RetentionPassed"
	stopTruncated      = "LogTruncated"
)

// stopError is what trying again cannot mend: the partition stops until
// somebody decides, and the others go on.
type stopError struct {
	reason string
	err    error
	// behind is the offset from which on it could go on if what comes before
	// were given up; 0 where that would not help.
	behind int64
}

func (e *stopError) Error() string      { return fmt.Sprintf("%s: %v", e.reason, e.err) }
func (e *stopError) Unwrap() error      { return e.err }
func (e *stopError) StopReason() string { return e.reason }

func (w *worker) stop(reason, format string, args ...any) *stopError {
	where := fmt.Sprintf("partition %s/%d", w.config.Topic, w.partition)
	return &stopError{reason: reason, err: fmt.Errorf(where+": "+format, args...)}
}

// confirmTopic asks whether the topic is still the one whose chain is open. A
// topic id is never used again, so when it is the same now, everything fetched
// before came from the same topic.
func (w *worker) confirmTopic(ctx context.Context) error {
	topic, err := w.client.Topic(ctx, w.config.Topic)
	if err != nil {
		return err
	}
	if topic.ID != w.topicID {
		return w.stop(stopTopicRecreated, "the topic was deleted and created again: its id was %s and is %s; use another data directory, or move the old one away", w.topicID, topic.ID)
	}
	return nil
}

// explainOutOfRange asks the leader what became of the offset that it does not
// have. Without a stopError the fetch is to be tried again.
func (w *worker) explainOutOfRange(ctx context.Context, next int64) error {
	if err := w.confirmTopic(ctx); err != nil {
		return err
	}
	start, end, err := w.client.Offsets(ctx, w.config.Topic, w.partition)
	switch {
	case err != nil:
		return err
	case next < start:
		lost := w.stop(stopRetention, "offsets %d to %d were removed by the topic's retention before they were stored; raise retention.ms or retention.bytes, and record the gap (ingester chain resume --record-gap), or set consumer.onLoss to RecordGap", next, start-1)
		lost.behind = start
		return lost
	case next > end && w.goesOn():
		return fmt.Errorf("offsets up to %d are stored, but the log ends at %d: the brokers have lost records, and what takes their place is not stored", next-1, end)
	case next > end:
		return w.stop(stopTruncated, "offsets up to %d are stored, but the log ends at %d: the brokers have lost records; set consumer.onLoss to RecordGap to go on when the log has grown beyond that, or move the data directory away to begin a new chain", next-1, end)
	}
	return fmt.Errorf("offset %d was out of range, and is within %d to %d now: %w", next, start, end, kafka.OffsetOutOfRange)
}
