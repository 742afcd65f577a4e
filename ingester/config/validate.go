package config

import (
	"errors"
	"fmt"
	"net"
	"regexp"
	"strconv"
)

// Role is a subcommand of the ingester that runs until it is told to stop.
type Role string

// The roles.
const (
	RoleServe      Role = "serve"
	RoleConsume    Role = "consume"
	RoleStandalone Role = "standalone"
)

func (r Role) takesRequests() bool { return r == RoleServe || r == RoleStandalone }
func (r Role) storesRecords() bool { return r == RoleConsume || r == RoleStandalone }

// Validate returns every mistake that would keep the role from running, each
// naming the field, its value and the remedy.
func (c Config) Validate(role Role) error {
	checks := []error{
		checkAddress("adminListen", c.AdminListen),
		c.validateTopic(),
		between("drain.delaySeconds", int64(c.Drain.DelaySeconds), 0, 3600),
		between("drain.timeoutSeconds", int64(c.Drain.TimeoutSeconds), 1, 3600),
	}
	if role == RoleStandalone {
		checks = append(checks, between("standalone.partitions", int64(c.Standalone.Partitions), 1, 1000))
	} else {
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

func (c Config) validateIntake() []error {
	checks := []error{
		checkAddress("listen", c.Listen),
		between("queue.maxBytes", int64(c.Queue.MaxBytes), 64<<10, 1<<40),
		between("producer.batchRecords", int64(c.Producer.BatchRecords), 1, 1_000_000),
		between("producer.batchBytes", int64(c.Producer.BatchBytes), 1<<10, 64<<20),
		between("producer.batchMaxDelayMilliseconds", int64(c.Producer.BatchMaxDelayMilliseconds), 0, 10_000),
		between("producer.deliveryTimeoutSeconds", int64(c.Producer.DeliveryTimeoutSeconds), 1, 3600),
		between("requestLimits.maxBodyBytes", int64(c.RequestLimits.MaxBodyBytes), 1, 1<<30),
		between("requestLimits.maxRecordBytes", int64(c.RequestLimits.MaxRecordBytes), 1, 64<<20),
		between("requestLimits.maxDepth", int64(c.RequestLimits.MaxDepth), 1, 10_000),
	}
	if c.RequestLimits.MaxBodyBytes > c.Queue.MaxBytes/2 {
		checks = append(checks, fmt.Errorf("requestLimits.maxBodyBytes is %s, more than half of queue.maxBytes (%s), so that such a body and the index of its records might never be admitted: raise the queue or lower the limit",
			c.RequestLimits.MaxBodyBytes, c.Queue.MaxBytes))
	}
	return checks
}

func (c Config) validateStorage() []error {
	checks := []error{
		between("consumer.fetchMaxBytes", int64(c.Consumer.FetchMaxBytes), 1<<10, 1<<30),
		between("segment.maxBytes", int64(c.Segment.MaxBytes), 1, 1<<40),
		between("segment.maxAgeSeconds", int64(c.Segment.MaxAgeSeconds), 1, 86_400),
	}
	if c.DataDir == "" {
		checks = append(checks, errors.New(`dataDir is empty: name the directory that holds the segments`))
	}
	return checks
}

// legalTopic is Kafka's own rule for topic names
// (org.apache.kafka.common.internals.Topic).
var legalTopic = regexp.MustCompile(`^[a-zA-Z0-9._-]{1,249}$`)

func (c Config) validateTopic() error {
	if legalTopic.MatchString(c.Topic) && c.Topic != "." && c.Topic != ".." {
		return nil
	}
	return fmt.Errorf("topic is %q: name a Kafka topic of 1 to 249 letters, digits, '.', '_' and '-'", c.Topic)
}

func (k Kafka) validate() error {
	if n := len(k.BootstrapServers); n < 1 || n > 16 {
		return fmt.Errorf("kafka.bootstrapServers has %d addresses: give 1 to 16, such as [\"kafka:9092\"]", n)
	}
	var errs []error
	for i, address := range k.BootstrapServers {
		field := fmt.Sprintf("kafka.bootstrapServers[%d]", i)
		err := checkAddress(field, address)
		if host, _, _ := net.SplitHostPort(address); err == nil && host == "" {
			err = fmt.Errorf("%s is %q, which names no host: write host:port", field, address)
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
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

func between(field string, value, least, most int64) error {
	if value < least || value > most {
		return fmt.Errorf("%s is %d: choose from %d to %d", field, value, least, most)
	}
	return nil
}
