package config

import (
	"errors"
	"fmt"
	"net"
	"regexp"
	"slices"
	"strconv"
)

// Role is a subcommand of the ingester that runs until it is told to stop.
type Role string

// The roles.
const (
	RoleServe      Role = "serve"
	RoleConsume    Role = "consume"
	RoleStandalone Role = "standalone"
	RoleDirect     Role = "direct"
)

func (r Role) takesRequests() bool { return r != RoleConsume }
func (r Role) storesRecords() bool { return r != RoleServe }

// Validate returns every mistake that would keep the role from running, each
// naming the field, its value and the remedy.
func (c Config) Validate(role Role) error {
	checks := []error{
		checkAddress("adminListen", c.AdminListen),
		c.validateTopic(),
		c.validateDeadLetterTopic(),
		between("drain.delaySeconds", int64(c.Drain.DelaySeconds), 0, 3600),
		between("drain.timeoutSeconds", int64(c.Drain.TimeoutSeconds), 1, 3600),
	}
	switch role {
	case RoleStandalone:
		checks = append(checks, between("standalone.partitions", int64(c.Standalone.Partitions), 1, 1000))
	case RoleDirect:
		checks = append(checks, c.validateDirect())
	default:
		checks = append(checks, c.Kafka.validate())
	}
	if role.takesRequests() {
		checks = append(checks, c.validateIntake()...)
	}
	if role.storesRecords() {
		checks = append(checks, c.validateStorage()...)
	}
	return errors.Join(checks...)
}

func (c Config) validateDirect() error {
	if c.Acknowledge != AcknowledgeProduced {
		return fmt.Errorf("acknowledge is %s, but the role direct answers once its journal has the records, and knows nothing less: leave it out", c.Acknowledge)
	}
	return between("direct.journalMaxBytes", int64(c.Direct.JournalMaxBytes), max(1<<20, 2*int64(c.RequestLimits.MaxBodyBytes)), 1<<50)
}

func (c Config) validateDeadLetterTopic() error {
	switch topic := c.DeadLetter.Topic; topic {
	case "":
		return nil
	case c.Topic:
		return fmt.Errorf("deadLetter.topic is %q, as topic is: records that can't be delivered there need another", topic)
	default:
		return checkTopic("deadLetter.topic", topic)
	}
}

// maxObjectBytes is the largest object that S3 copies in one request.
const maxObjectBytes = 5 << 30

// legalTopic is Kafka's own rule for topic names
// (org.apache.kafka.common.internals.Topic).
var legalTopic = regexp.MustCompile(`^[a-zA-Z0-9._-]{1,249}$`)

func (c Config) validateTopic() error { return checkTopic("topic", c.Topic) }

func checkTopic(field, topic string) error {
	if legalTopic.MatchString(topic) && topic != "." && topic != ".." {
		return nil
	}
	return fmt.Errorf("%s is %q: name a Kafka topic of 1 to 249 letters, digits, '.', '_' and '-'", field, topic)
}

func checkAddress(field, address string) error {
	_, port, err := net.SplitHostPort(address)
	if err == nil {
		_, err = strconv.ParseUint(port, 10, 16)
	}
	if err != nil {
		return fmt.Errorf("%s is %q: write host:port with a port of 0 to 65535, such as \":8080\"", field, address)
	}
	return nil
}

func oneOf[T ~string](field string, value T, choices ...T) error {
	if slices.Contains(choices, value) {
		return nil
	}
	return fmt.Errorf("%s is %q: choose one of %q", field, string(value), choices)
}

func between(field string, value, least, most int64) error {
	if value < least || value > most {
		return fmt.Errorf("%s is %d: choose from %d to %d", field, value, least, most)
	}
	return nil
}
