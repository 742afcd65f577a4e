package lag

import (
	"errors"
	"fmt"

	kafkago "github.com/segmentio/kafka-go"
)

// Reason says why there is no lag, in a word.
type Reason string

// The reasons.
const (
	// Unreachable: a broker did not answer.
	Unreachable Reason = "Unreachable"
	// NotAuthorized: the brokers refused a right.
	NotAuthorized Reason = "NotAuthorized"
	// TopicMissing: the brokers know no such topic.
	TopicMissing Reason = "TopicMissing"
	// TopicRecreated: the topic is not the one that was stored from.
	TopicRecreated Reason = "TopicRecreated"
	// LogTruncated: more is stored than the log has ever had, so it is another
	// log, or one that has lost records.
	LogTruncated Reason = "LogTruncated"
	// Incomplete: a partition has no leader, or a group no coordinator, at the
	// moment.
	Incomplete Reason = "Incomplete"
)

// Error is why a pipeline's lag is unknown.
type Error struct {
	Reason Reason
	Err    error
}

func (e *Error) Error() string { return e.Err.Error() }
func (e *Error) Unwrap() error { return e.Err }

// ReasonOf returns the reason of an error of this package, and Unreachable for
// any other.
func ReasonOf(err error) Reason {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Reason
	}
	return Unreachable
}

// Lasting tells whether the error will not pass by itself, so that what was
// known before it is void.
func Lasting(err error) bool {
	switch ReasonOf(err) {
	case TopicMissing, TopicRecreated, LogTruncated:
		return true
	}
	return false
}

// refused makes an error of what a broker answered about something.
func refused(code kafkago.Error, format string, about ...any) error {
	err := fmt.Errorf(format+": %w", append(about, code)...)
	switch code {
	case kafkago.TopicAuthorizationFailed, kafkago.GroupAuthorizationFailed, kafkago.ClusterAuthorizationFailed:
		return &Error{NotAuthorized, fmt.Errorf("%w; allow it to the operator by an ACL", err)}
	case kafkago.UnknownTopicOrPartition:
		return &Error{TopicMissing, err}
	default:
		return &Error{Incomplete, err}
	}
}

func unreachable(err error) error { return &Error{Unreachable, err} }
