package topics

import (
	"crypto/tls"
	"errors"
	"fmt"
	"regexp"
	"syscall"

	kafkago "github.com/segmentio/kafka-go"

	"github.com/logpipeline/logpipeline/ingester/kafka"
)

// Reason says why a topic is not as desired, in a word.
type Reason string

// The reasons.
const (
	// Unreachable: no broker answered.
	Unreachable Reason = "Unreachable"
	// AuthenticationFailed: the brokers refused the name and password, or
	// ended the connection without a word as they do to wrong credentials.
	AuthenticationFailed Reason = "AuthenticationFailed"
	// CertificateRejected: one side does not believe the other's certificate.
	CertificateRejected Reason = "CertificateRejected"
	// NotAuthorized: the brokers refused a right.
	NotAuthorized Reason = "NotAuthorized"
	// NotFound: the topic is not managed, and there is none.
	NotFound Reason = "NotFound"
	// Recreated: the topic that was known is gone, or another one has taken
	// its name.
	Recreated Reason = "Recreated"
	// InvalidReplicationFactor: more replicas than brokers are alive.
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

// attempt is what was tried with a topic, and the right that it takes by
// https://kafka.apache.org/documentation/#operations_resources_and_protocols.
type attempt struct{ doing, right, topic string }

// failed classifies what the brokers answered, or that they did not, and adds
// the remedy.
func (a attempt) failed(err error) error {
	doing, err := fmt.Sprintf("%s %q", a.doing, a.topic), kafka.WithoutMethod(err)
	code, answered := errors.AsType[kafkago.Error](err)
	if !answered {
		return unanswered(doing, err, true)
	}
	err = fmt.Errorf("%s: %w", doing, err)
	switch code {
	case kafkago.TopicAuthorizationFailed, kafkago.ClusterAuthorizationFailed:
		return &Error{NotAuthorized, fmt.Errorf("%w; the operator needs the right %s on topic %q: allow it by an ACL", err, a.right, a.topic)}
	case kafkago.InvalidReplicationFactor:
		return &Error{InvalidReplicationFactor, fmt.Errorf("%w; start more brokers, or lower topic.replicationFactor", err)}
	case kafkago.InvalidConfiguration, kafkago.PolicyViolation, kafkago.InvalidPartitionNumber, kafkago.InvalidTopic:
		return &Error{InvalidConfig, err}
	case kafkago.LeaderNotAvailable, kafkago.BrokerNotAvailable, kafkago.NotController, kafkago.RequestTimedOut, kafkago.NetworkException:
		return &Error{Unreachable, fmt.Errorf("%w; the brokers are not ready", err)}
	default:
		return &Error{Failed, err}
	}
}

// unanswered classifies an exchange that brought no answer. A connection that
// ends means little once the brokers have answered on others; before that it is
// their way to say no.
func unanswered(doing string, err error, answeredBefore bool) error {
	err = fmt.Errorf("%s: %w", doing, &steadyError{kafka.WithoutMethod(err)})
	switch {
	case kafka.CertificateRejected(err):
		return &Error{CertificateRejected, fmt.Errorf("%w; check the certificates that kafka.security and kafka.adminSecurity name", err)}
	case kafka.CredentialsRefused(err):
		return &Error{AuthenticationFailed, fmt.Errorf("%w; check the name and password that kafka.security and kafka.adminSecurity name", err)}
	case !answeredBefore && (ended(err) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, errMalformed) || noTLS(err)):
		return &Error{AuthenticationFailed, fmt.Errorf("%w: the brokers ended the connection without an answer, as they do to a wrong name or password, to plain text where they want TLS or a password, and to TLS where they want plain text; check kafka.security and kafka.adminSecurity", err)}
	default:
		return &Error{Unreachable, fmt.Errorf("%w; check kafka.bootstrapServers and the brokers", err)}
	}
}

// steadyError says the same each time that it occurs, so that a status which
// quotes it is not written anew for that: it leaves out which port a connection
// happened to have, and when a certificate was looked at.
type steadyError struct{ err error }

var (
	ownAddress  = regexp.MustCompile(`\b(read|write) (tcp|udp) \S+->`)
	currentTime = regexp.MustCompile(`\bcurrent time \S+ is `)
)

func (e *steadyError) Error() string {
	return currentTime.ReplaceAllString(ownAddress.ReplaceAllString(e.err.Error(), "$1 $2 "), "it is ")
}

func (e *steadyError) Unwrap() error { return e.err }

func noTLS(err error) bool {
	var record tls.RecordHeaderError
	return errors.As(err, &record)
}
