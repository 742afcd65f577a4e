package kafka

import (
	"context"
	"errors"

	kafkago "github.com/segmentio/kafka-go"
)

// Verdict is what the result of one Produce means for its batch. All but
// Acknowledged, InDoubt, Unexplained and Duplicate are definite: this attempt did
// not put the batch into the log, and will not. (An earlier attempt in doubt stays in
// doubt.)
type Verdict int

const (
	// Acknowledged: the batch is in the log, on all in-sync replicas.
	Acknowledged Verdict = iota
	// Retry: not in the log; the same request may succeed later.
	Retry
	// InDoubt: the batch may be in the log, or may come to be there; the same
	// bytes sent again settle it.
	InDoubt
	// Unexplained: the broker failed in a way that it has no code for. The batch
	// may be in the log, and nothing that is sent after it can settle it: a
	// broker that took note of the sequence before it failed to append takes
	// the same bytes for a duplicate, and acknowledges what it doesn't have
	// (kfake does so when its disk is full).
	Unexplained
	// TooLarge: the topic takes no batch of this size.
	TooLarge
	// Refused: not in the log, and asking again won't help.
	Refused
	// Duplicate: the broker has had this sequence before and doesn't say at
	// which offset.
	Duplicate
	// SequenceLost: the broker doesn't accept the sequence after what it knows
	// of this producer id and epoch.
	SequenceLost
	// ProducerLost: the producer id, or its epoch, is of no more use.
	ProducerLost
)

// Classify says what the error that Produce returned means. Whatever isn't
// known to be decided before the leader appends is in doubt.
//
// NOT_LEADER_OR_FOLLOWER is among those: a leader that appended the batch and
// lost its leadership while it waited for the replicas answers so, too, and by
// then the next leader may have the batch (Kafka's
// Partition.checkEnoughReplicasReachOffset).
func Classify(err error) Verdict {
	if err == nil {
		return Acknowledged
	}
	var exchange *ExchangeError
	if errors.As(err, &exchange) {
		if exchange.Sent {
			return InDoubt
		}
		return Retry
	}
	var code Error
	if !errors.As(err, &code) {
		return InDoubt
	}
	return classifyCode(code)
}

func classifyCode(code Error) Verdict {
	switch code {
	case kafkago.Unknown:
		return Unexplained
	case kafkago.UnknownTopicOrPartition, // also after the topic was deleted, and the batch with it
		kafkago.UnknownTopicID,
		kafkago.LeaderNotAvailable,
		kafkago.NotEnoughReplicas,
		kafkago.InvalidMessage, // damaged on its way: its checksum is checked first
		kafkago.ThrottlingQuotaExceeded:
		return Retry
	case kafkago.MessageSizeTooLarge, kafkago.RecordListTooLarge:
		return TooLarge
	case kafkago.TopicAuthorizationFailed, kafkago.ClusterAuthorizationFailed,
		kafkago.InvalidTopic, kafkago.InvalidRequiredAcks, kafkago.InvalidTimestamp,
		kafkago.UnsupportedVersion, kafkago.InvalidRequest, kafkago.UnsupportedForMessageFormat,
		kafkago.PolicyViolation, kafkago.UnsupportedCompressionType, kafkago.InvalidRecord:
		return Refused
	case kafkago.DuplicateSequenceNumber:
		return Duplicate
	case kafkago.OutOfOrderSequenceNumber, kafkago.UnknownProducerId:
		return SequenceLost
	case kafkago.InvalidProducerEpoch, kafkago.ProducerFenced, kafkago.InvalidProducerIDMapping:
		return ProducerLost
	default:
		return InDoubt
	}
}

// Reason names an error of Produce in a word, for a metric's label: the set of
// words is bounded.
func Reason(err error) string {
	var code Error
	switch {
	case err == nil:
		return "none"
	case errors.As(err, &code) && code.Title() != "":
		return code.Title()
	case errors.As(err, &code):
		return "unknown code"
	case errors.Is(err, context.DeadlineExceeded):
		return "time-out"
	case errors.Is(err, context.Canceled):
		return "cancelled"
	default:
		return "connection"
	}
}
