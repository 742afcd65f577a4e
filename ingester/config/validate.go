package config

import (
	"errors"
	"fmt"
	"net"
	"net/url"
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
		between("requestLimits.maxConnections", int64(c.RequestLimits.MaxConnections), 1, 1_000_000),
		between("requestLimits.maxInFlight", int64(c.RequestLimits.MaxInFlight), 1, 1_000_000),
		between("requestLimits.minBodyBytesPerSecond", int64(c.RequestLimits.MinBodyBytesPerSecond), 0, 1<<30),
		between("requestLimits.bodyTimeoutSeconds", int64(c.RequestLimits.BodyTimeoutSeconds), 1, 3600),
		between("deadLetter.maxBytes", int64(c.DeadLetter.MaxBytes), 0, 1<<50),
		oneOf("acknowledge", c.Acknowledge, AcknowledgeProduced, AcknowledgeQueued),
		c.Producer.validateCodec(),
		c.validateAcks(),
		c.validateSpool(),
		c.validateAccess(),
	}
	if c.RequestLimits.MaxBodyBytes > c.Queue.MaxBytes/2 {
		checks = append(checks, fmt.Errorf("requestLimits.maxBodyBytes is %s, more than half of queue.maxBytes (%s), so that such a body and the index of its records might never be admitted: raise the queue or lower the limit",
			c.RequestLimits.MaxBodyBytes, c.Queue.MaxBytes))
	}
	return append(checks, c.RequestLimits.validateRecord())
}

// validateRecord: what was not set, but is the default, is nobody's mistake.
func (r RequestLimits) validateRecord() error {
	if r.MaxRecordBytes <= r.MaxBodyBytes || r.MaxRecordBytes == Default().RequestLimits.MaxRecordBytes {
		return nil
	}
	return fmt.Errorf("requestLimits.maxRecordBytes is %s, more than requestLimits.maxBodyBytes (%s), so that no such record can come: lower it, or raise maxBodyBytes", r.MaxRecordBytes, r.MaxBodyBytes)
}

func (p Producer) validateCodec() error {
	if err := oneOf("producer.compression", p.Compression, CompressionNone, CompressionGzip, CompressionSnappy, CompressionLZ4, CompressionZstd); err != nil {
		return err
	}
	most := map[Compression]int64{CompressionGzip: 9, CompressionLZ4: 9, CompressionZstd: 22}[p.Compression]
	if most == 0 && p.CompressionLevel != 0 {
		return fmt.Errorf("producer.compressionLevel is %d, but compression %s has no levels: leave it out, or choose gzip, lz4 or zstd", p.CompressionLevel, p.Compression)
	}
	return between("producer.compressionLevel", int64(p.CompressionLevel), 0, most)
}

// validateAcks: fewer replicas than all is for those who were told no more
// than that their records are queued.
func (c Config) validateAcks() error {
	if err := oneOf("producer.requiredAcks", c.Producer.RequiredAcks, RequiredAcksAll, RequiredAcksOne); err != nil {
		return err
	}
	if c.Producer.RequiredAcks == RequiredAcksOne && c.Acknowledge != AcknowledgeQueued {
		return fmt.Errorf("producer.requiredAcks is One, but acknowledge is %s, which promises all in-sync replicas: use requiredAcks All, or acknowledge Queued", c.Acknowledge)
	}
	return nil
}

// validateSpool: only who is acknowledged before Kafka has the records needs
// the spool.
func (c Config) validateSpool() error {
	least := 2 * int64(c.RequestLimits.MaxBodyBytes)
	switch spool := c.Spool.MaxBytes; {
	case spool == 0:
		return nil
	case c.Acknowledge != AcknowledgeQueued:
		return fmt.Errorf("spool.maxBytes is %s, but acknowledge is %s, which waits for Kafka and needs no spool: leave the spool out, or use acknowledge Queued", spool, c.Acknowledge)
	case int64(spool) < least:
		return fmt.Errorf("spool.maxBytes is %s: at least twice requestLimits.maxBodyBytes (%s) is needed, or 0 for no spool", spool, c.RequestLimits.MaxBodyBytes)
	}
	return nil
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

func (c Config) validateAccess() error {
	certificates := c.Authentication.ClientCertificates
	switch {
	case (c.TLS.CertFile == "") != (c.TLS.KeyFile == ""):
		return fmt.Errorf("tls.certFile is %q and tls.keyFile is %q: give both, or none for plain text", c.TLS.CertFile, c.TLS.KeyFile)
	case c.TLS.ClientCAFile != "" && c.TLS.CertFile == "":
		return fmt.Errorf("tls.clientCAFile is %q, but there is no tls.certFile: clients show certificates over TLS only", c.TLS.ClientCAFile)
	case certificates.Accepted && c.TLS.ClientCAFile == "":
		return errors.New("authentication.clientCertificates.accepted is true, but there is no tls.clientCAFile: name the CA that vouches for the clients")
	case len(certificates.AllowedNames) > 0 && !certificates.Accepted:
		return errors.New("authentication.clientCertificates.allowedNames has names, but accepted is false: set it to true")
	}
	return nil
}

func (c Config) validateStorage() []error {
	checks := []error{
		c.Consumer.validateInstanceID(),
		between("consumer.sessionTimeoutSeconds", int64(c.Consumer.SessionTimeoutSeconds), 6, 1800), // the brokers' own bounds
		oneOf("consumer.onLoss", c.Consumer.OnLoss, OnLossStop, OnLossRecordGap),
		between("consumer.fetchMaxBytes", int64(c.Consumer.FetchMaxBytes), 1<<10, 1<<30),
		between("consumer.fetchMaxTotalBytes", int64(c.Consumer.FetchMaxTotalBytes), int64(c.Consumer.FetchMaxBytes), 1<<40),
		between("segment.maxBytes", int64(c.Segment.MaxBytes), 1, 1<<40),
		between("segment.maxAgeSeconds", int64(c.Segment.MaxAgeSeconds), 1, 86_400),
		between("segment.maxOpenBytes", int64(c.Segment.MaxOpenBytes), 1<<20, 1<<50),
		oneOf("segment.compression", c.Segment.Compression, CompressionNone, CompressionGzip, CompressionZstd),
	}
	if c.DataDir == "" {
		checks = append(checks, errors.New(`dataDir is empty: name the directory that holds the segments`))
	}
	checks = append(checks, c.Aggregation.Validate())
	return append(checks, c.validateObjectStore(), c.Retention.validate())
}

// validateInstanceID: Kafka's rule for instance ids is that for topic names.
func (c Consumer) validateInstanceID() error {
	id, err := c.StaticID()
	if err != nil || id == "" || legalTopic.MatchString(id) && id != "." && id != ".." {
		return err
	}
	return fmt.Errorf("consumer.instanceID is %q: use up to 249 letters, digits, '.', '_' and '-', or $HOSTNAME for the name of the host", c.InstanceID)
}

// Validate returns every mistake in it; nil when it is off. Whether paths are
// well-formed is said by who parses them.
func (a Aggregation) Validate() error {
	if !a.Enabled() {
		return nil
	}
	checks := []error{
		between("aggregation.windowSeconds", int64(a.WindowSeconds), 1, 86_400),
		between("aggregation.maxGroups", int64(a.MaxGroups), 1, 10_000),
		checkFields("aggregation.groupBy", a.GroupBy, 8),
		checkFields("aggregation.numeric", a.Numeric, 16),
	}
	if n := len(a.Quantiles); n > 16 {
		checks = append(checks, fmt.Errorf("aggregation.quantiles has %d: give at most 16", n))
	}
	for i, q := range a.Quantiles {
		if !(q >= 0 && q <= 1) {
			checks = append(checks, fmt.Errorf("aggregation.quantiles[%d] is %v: choose from 0 to 1, such as 0.99", i, q))
		}
	}
	return errors.Join(checks...)
}

func checkFields(field string, paths []string, most int) error {
	if len(paths) > most {
		return fmt.Errorf("%s has %d fields: give at most %d", field, len(paths), most)
	}
	for i, path := range paths {
		switch {
		case path == "":
			return fmt.Errorf("%s[%d] is empty: write the dotted path of a field, such as level or http.status", field, i)
		case slices.Contains(paths[:i], path):
			return fmt.Errorf("%s[%d] is %q, which stands there twice: name each field once", field, i, path)
		}
	}
	return nil
}

func (r Retention) validate() error {
	return errors.Join(
		between("retention.maxAgeSeconds", int64(r.MaxAgeSeconds), 0, 100*365*86_400),
		between("retention.maxBytes", int64(r.MaxBytes), 0, 1<<60),
	)
}

// maxObjectBytes is the largest object that S3 copies in one request.
const maxObjectBytes = 5 << 30

func (c Config) validateObjectStore() error {
	if c.ObjectStore.URL == "" {
		return nil
	}
	u, err := url.Parse(c.ObjectStore.URL)
	if err != nil || u.Host == "" || !slices.Contains([]string{"s3", "gs", "azblob"}, u.Scheme) {
		return fmt.Errorf("objectStore.url is %q: write s3://bucket/prefix, gs://bucket/prefix or azblob://container/prefix", c.ObjectStore.URL)
	}
	if c.Segment.MaxBytes > maxObjectBytes/2 {
		return fmt.Errorf("segment.maxBytes is %s, but a segment ends with the record batch that reaches it, and object stores copy at most 5Gi: choose at most %s", c.Segment.MaxBytes, Bytes(maxObjectBytes/2))
	}
	return nil
}

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
	return errors.Join(append(errs, k.TLS.validate(), k.SASL.validate())...)
}

func (t KafkaTLS) validate() error {
	switch {
	case !t.Enabled && t != KafkaTLS{}:
		return errors.New("kafka.tls names files or a server, but kafka.tls.enabled is false: set it to true, or leave the rest out")
	case (t.CertFile == "") != (t.KeyFile == ""):
		return fmt.Errorf("kafka.tls.certFile is %q and kafka.tls.keyFile is %q: give both, or none", t.CertFile, t.KeyFile)
	}
	return nil
}

func (s KafkaSASL) validate() error {
	switch {
	case s == KafkaSASL{}:
		return nil
	case s.Mechanism == "":
		return fmt.Errorf("kafka.sasl.mechanism is empty: choose one of %q, or leave the files out", []SASLMechanism{SASLPlain, SASLScramSHA256, SASLScramSHA512})
	case s.UsernameFile == "" || s.PasswordFile == "":
		return fmt.Errorf("kafka.sasl.usernameFile is %q and kafka.sasl.passwordFile is %q: give both", s.UsernameFile, s.PasswordFile)
	}
	return oneOf("kafka.sasl.mechanism", s.Mechanism, SASLPlain, SASLScramSHA256, SASLScramSHA512)
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
