package config

import (
	"errors"
	"fmt"
	"net"
)

// Kafka says how the brokers are reached.
type Kafka struct {
	// BootstrapServers are 1 to 16 host:port addresses.
	BootstrapServers []string `json:"bootstrapServers"`
	// ClientID names the client in the brokers' logs and quotas.
	ClientID string `json:"clientID"`

	TLS  KafkaTLS  `json:"tls"`
	SASL KafkaSASL `json:"sasl"`
}

// KafkaTLS encrypts the connections to the brokers. The files are read again
// when they change; connections that are open are replaced then.
type KafkaTLS struct {
	// Enabled encrypts them, over TLS 1.2 or later; otherwise they are plain
	// text.
	Enabled bool `json:"enabled"`
	// CAFile, a PEM file, is of the authorities that vouch for the brokers;
	// empty means the system's.
	CAFile string `json:"caFile"`
	// CertFile and KeyFile are PEM files: the certificate that the client
	// shows; empty means none.
	CertFile string `json:"certFile"`
	KeyFile  string `json:"keyFile"`
	// ServerName is what the brokers' certificates must be for; empty means
	// the host of the broker's address.
	ServerName string `json:"serverName"`
}

// KafkaSASL authenticates the client to the brokers by name and password. The
// files are read again when they change; connections that are open are replaced then.
type KafkaSASL struct {
	// Mechanism is PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512; empty means that the
	// client isn't authenticated so.
	Mechanism SASLMechanism `json:"mechanism"`
	// UsernameFile and PasswordFile hold them, with or without a line's end.
	UsernameFile string `json:"usernameFile"`
	PasswordFile string `json:"passwordFile"`
}

// SASLMechanism is how a name and a password are shown to a broker.
type SASLMechanism string

// The mechanisms: RFC 4616, and RFC 5802 with the hashes of their names.
const (
	SASLPlain       SASLMechanism = "PLAIN"
	SASLScramSHA256 SASLMechanism = "SCRAM-SHA-256"
	SASLScramSHA512 SASLMechanism = "SCRAM-SHA-512"
)

// Producer groups records into Kafka record batches.
type Producer struct {
	// BatchRecords bounds the records of one record batch.
	BatchRecords int `json:"batchRecords"`
	// BatchBytes bounds the encoded bytes of one record batch; a larger
	// record travels alone. Keep it below the topic's max.message.bytes.
	BatchBytes Bytes `json:"batchBytes"`
	// BatchMaxDelayMilliseconds bounds how long a record waits for others
	// to share its record batch.
	BatchMaxDelayMilliseconds int `json:"batchMaxDelayMilliseconds"`
	// DeliveryTimeoutSeconds bounds how long a record batch is retried. With a
	// spool it does so only while a client waits: what nobody waits for is sent
	// until Kafka takes it.
	DeliveryTimeoutSeconds int `json:"deliveryTimeoutSeconds"`
	// Compression is the codec of the record batches: none, gzip, snappy, lz4
	// or zstd.
	Compression Compression `json:"compression"`
	// CompressionLevel is the codec's own, for gzip (1 to 9), lz4 (1 to 9) and
	// zstd (1 to 22); 0 means its default.
	CompressionLevel int `json:"compressionLevel"`
	// RequiredAcks says which replicas must have a record batch: All that are
	// in sync, or One, the leader; One only with acknowledge: Queued, and
	// without the broker's help against doubling.
	RequiredAcks RequiredAcks `json:"requiredAcks"`
	// KeyField is the dotted path of the field whose value chooses the
	// partition of a record, as Kafka's default partitioner does, and becomes
	// its key. Empty, or a record without that field: the records of a
	// request stay together, in whichever partition is free.
	KeyField string `json:"keyField"`
	// Headers are the names of request headers that become Kafka headers of
	// every record of the request.
	Headers []string `json:"headers"`
}

// Compression is the codec of record batches, or of segments.
type Compression string

// The codecs of Kafka.
const (
	CompressionNone   Compression = "none"
	CompressionGzip   Compression = "gzip"
	CompressionSnappy Compression = "snappy"
	CompressionLZ4    Compression = "lz4"
	CompressionZstd   Compression = "zstd"
)

// RequiredAcks says which replicas must have a record batch before it is
// acknowledged.
type RequiredAcks string

const (
	// RequiredAcksAll waits for all in-sync replicas.
	RequiredAcksAll RequiredAcks = "All"
	// RequiredAcksOne waits for the leader alone.
	RequiredAcksOne RequiredAcks = "One"
)

// batchOverhead is more than Kafka's record batch adds to one record: 61 bytes
// for the batch and at most 38 for the record.
const batchOverhead = 1 << 10

// TopicMaxMessageBytes is the max.message.bytes that a topic needs so that it
// takes every record that RequestLimits admits, and every batch of Producer.
func (c Config) TopicMaxMessageBytes() int64 {
	return int64(max(c.RequestLimits.MaxRecordBytes, c.Producer.BatchBytes)) + batchOverhead
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
