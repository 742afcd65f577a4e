package kafka

import (
	"errors"
	"fmt"

	kafkago "github.com/segmentio/kafka-go"
)

// Error is an error code of the protocol, as a broker answered it. Find it
// with errors.As, or compare with errors.Is.
type Error = kafkago.Error

// The codes that callers of this package decide by.
const (
	OffsetOutOfRange   = kafkago.OffsetOutOfRange
	UnknownTopic       = kafkago.UnknownTopicOrPartition
	LeaderNotAvailable = kafkago.LeaderNotAvailable
	NotLeader          = kafkago.NotLeaderForPartition
	FencedLeaderEpoch  = kafkago.FencedLeaderEpoch
	UnknownLeaderEpoch = kafkago.UnknownLeaderEpoch
)

// ErrUnreachable says that no broker answered. An error that doesn't wrap it
// is a broker's answer.
var ErrUnreachable = errors.New("no answer from Kafka")

// ErrNoRoom says that the caller had no room for a response.
var ErrNoRoom = errors.New("no room for a response")

// ExchangeError is a request without a valid answer. It is ErrUnreachable, and
// wraps the reason: the context's error, the connection's, or a malformed
// response.
type ExchangeError struct {
	// Sent is false only when the request certainly reached no broker.
	Sent bool
	Err  error
}

func (e *ExchangeError) Error() string {
	if e.Sent {
		return fmt.Sprintf("%v to the request sent: %v", ErrUnreachable, e.Err)
	}
	return fmt.Sprintf("%v, nothing sent: %v", ErrUnreachable, e.Err)
}

func (e *ExchangeError) Unwrap() []error { return []error{ErrUnreachable, e.Err} }

// codeError is nil for code 0.
func codeError(code int16, message string) error {
	switch {
	case code == 0:
		return nil
	case message == "":
		return Error(code)
	default:
		return fmt.Errorf("%w (%s)", Error(code), message)
	}
}
