package config

import (
	"errors"
	"fmt"
)

// Acknowledge is what a receipt promises.
type Acknowledge string

const (
	// AcknowledgeProduced: all in-sync replicas have acknowledged the records.
	AcknowledgeProduced Acknowledge = "Produced"
	// AcknowledgeQueued: the records are in the spool, or, without one, in
	// this process's memory.
	AcknowledgeQueued Acknowledge = "Queued"
)

// Spool is the write-ahead log, on disk, of batches that are acknowledged as
// queued.
type Spool struct {
	// MaxBytes bounds the spool on disk; 0 means that there is none.
	MaxBytes Bytes `json:"maxBytes"`
	// Dir holds it; empty means dataDir/spool.
	Dir string `json:"dir"`
}

// DeadLetter says where records go that can't be delivered and whose client
// can't be told any more.
type DeadLetter struct {
	// Topic takes them; empty means that Dir alone does. It also takes what a
	// consumer can't store, batches that can't be decoded and records that are
	// not one line; while it is empty these stop their partition. Its
	// max.message.bytes should be 2 KiB more than that of topic, for the headers
	// that tell of each record; what it refuses for its size stays in Dir.
	Topic string `json:"topic"`
	// Dir takes them while Kafka is away; empty means dataDir/dead-letters.
	Dir string `json:"dir"`
	// MaxBytes bounds Dir. What doesn't fit is lost, counted and logged.
	MaxBytes Bytes `json:"maxBytes"`
}

// TLS is how the intake's address is served; without CertFile in plain text.
// The files are read again when they change.
type TLS struct {
	// CertFile and KeyFile are PEM files.
	CertFile string `json:"certFile"`
	KeyFile  string `json:"keyFile"`
	// ClientCAFile, a PEM file, is by whom certificates of clients are signed.
	ClientCAFile string `json:"clientCAFile"`
}

// Authentication says who may send records: whoever satisfies one of what is
// given here; everybody, where nothing is. The files are read again when they
// change.
type Authentication struct {
	// BearerTokensDir holds a file for each client, named after it, with its
	// token.
	BearerTokensDir string `json:"bearerTokensDir"`
	// BasicDir holds a file for each user, named after it, with the password.
	BasicDir string `json:"basicDir"`
	// ClientCertificates admits clients by certificates that TLS.ClientCAFile
	// vouches for.
	ClientCertificates ClientCertificates `json:"clientCertificates"`
}

// ClientCertificates says whose certificates are good.
type ClientCertificates struct {
	// Accepted admits clients by their certificate: beside tokens and passwords
	// it is one more way in, without them it is the only one, and then nobody
	// is connected without a certificate.
	Accepted bool `json:"accepted"`
	// AllowedNames are common names or DNS names of which a certificate must
	// have one; empty admits every certificate that the CA vouches for.
	AllowedNames []string `json:"allowedNames"`
}

// Queue bounds what waits for Kafka.
type Queue struct {
	// MaxBytes bounds the bodies that have been read, or admitted to be
	// read, and not yet been acknowledged by Kafka.
	MaxBytes Bytes `json:"maxBytes"`
}

// RequestLimits bound one request.
type RequestLimits struct {
	// MaxBodyBytes bounds a request's body.
	MaxBodyBytes Bytes `json:"maxBodyBytes"`
	// MaxRecordBytes bounds one record.
	MaxRecordBytes Bytes `json:"maxRecordBytes"`
	// MaxDepth bounds how deep arrays and objects of a record are nested.
	MaxDepth int `json:"maxDepth"`
	// MaxConnections bounds the connections that are open at once; more wait
	// to be accepted.
	MaxConnections int `json:"maxConnections"`
	// MaxInFlight bounds the requests that are handled at once.
	MaxInFlight int `json:"maxInFlight"`
	// MinBodyBytesPerSecond is how fast a body has to come, after a grace
	// time; 0 means as slowly as it likes, within BodyTimeoutSeconds.
	MinBodyBytesPerSecond Bytes `json:"minBodyBytesPerSecond"`
	// BodyTimeoutSeconds bounds the reading of one body.
	BodyTimeoutSeconds int `json:"bodyTimeoutSeconds"`
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
