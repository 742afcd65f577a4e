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

// failed wraps what a broker, or the way to it, answered to an action.
func failed(action string, err error) error {
	code, answered := errors.AsType[kafkago.Error](err)
	if !answered {
		return &Error{Unreachable, fmt.Errorf("%s: no broker answered, check kafka.bootstrapServers and the brokers: %w", action, err)}
	}
	switch code {
	case kafkago.TopicAuthorizationFailed, kafkago.ClusterAuthorizationFailed:
		return &Error{NotAuthorized, fmt.Errorf("%s: the brokers refuse it to the operator, grant it by an ACL: %w", action, err)}
	case kafkago.InvalidReplicationFactor:
		return &Error{InvalidReplicationFactor, fmt.Errorf("%s: lower topic.replicationFactor, or add brokers: %w", action, err)}
	case kafkago.InvalidConfiguration, kafkago.PolicyViolation, kafkago.InvalidPartitionNumber:
		return &Error{InvalidConfig, fmt.Errorf("%s: %w", action, err)}
	case kafkago.LeaderNotAvailable, kafkago.BrokerNotAvailable, kafkago.NotController, kafkago.RequestTimedOut, kafkago.NetworkException:
		return &Error{Unreachable, fmt.Errorf("%s: the brokers are not ready: %w", action, err)}
	default:
		return &Error{Failed, fmt.Errorf("%s: %w", action, err)}
	}
}
