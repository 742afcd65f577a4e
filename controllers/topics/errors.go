package topics

import (
	"errors"
	"fmt"

	kafkago "github.com/segmentio/kafka-go"
)

// Reason says why a topic is not as desired, in a word.
type Reason string

// The reasons.
const (
	// Unreachable: no broker answered.
	Unreachable Reason = "Unreachable"
	// NotAuthorized: the brokers refused a right.
	NotAuthorized Reason = "NotAuthorized"
	// NotFound: the topic is not managed, and there is none.
	NotFound Reason = "NotFound"
	// Recreated: the topic that was known is gone, or another one has taken
	// its name.
	Recreated Reason = "Recreated"
	// InvalidReplicationFactor: more replicas than brokers.
	InvalidReplicationFactor Reason = "InvalidReplicationFactor"
	// InvalidConfig: the brokers refused a configuration or a policy of
	// theirs did.
	InvalidConfig Reason = "InvalidConfig"
	// PartitionsBelowLive: the topic has more partitions than desired.
	PartitionsBelowLive Reason = "PartitionsBelowLive"
	// Failed: any other refusal.
	Failed Reason = "Failed"
)

// Error is what every failing method of Cluster returns.
type Error struct {
	Reason Reason
	Err    error
}

func (e *Error) Error() string { return e.Err.Error() }
func (e *Error) Unwrap() error { return e.Err }

// ReasonOf returns the reason of an error of this package.
func ReasonOf(err error) Reason {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Reason
	}
	return Failed
}

// failed classifies an error, which says what was tried, by what the brokers
// answered, and adds the remedy.
func failed(err error) error {
	code, answered := errors.AsType[kafkago.Error](err)
	if !answered {
		return &Error{Unreachable, fmt.Errorf("%w; check kafka.bootstrapServers and the brokers", err)}
	}
	switch code {
	case kafkago.TopicAuthorizationFailed, kafkago.ClusterAuthorizationFailed:
		return &Error{NotAuthorized, fmt.Errorf("%w; allow it to the operator by an ACL", err)}
	case kafkago.InvalidReplicationFactor:
		return &Error{InvalidReplicationFactor, fmt.Errorf("%w; lower topic.replicationFactor, or add brokers", err)}
	case kafkago.InvalidConfiguration, kafkago.PolicyViolation, kafkago.InvalidPartitionNumber:
		return &Error{InvalidConfig, err}
	case kafkago.LeaderNotAvailable, kafkago.BrokerNotAvailable, kafkago.NotController, kafkago.RequestTimedOut, kafkago.NetworkException:
		return &Error{Unreachable, fmt.Errorf("%w; the brokers are not ready", err)}
	default:
		return &Error{Failed, err}
	}
}
