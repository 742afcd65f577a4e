// Package config is what the roles of the ingester are told: one struct, read
// from one YAML file, with every default beside the field that it fills. The
// operator renders an ingester's configuration by marshalling this very
// struct, so the two cannot disagree.
package config

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"sigs.k8s.io/json"
	"sigs.k8s.io/yaml"
)

// FormatVersion is the version of the file's format that this release writes
// and reads.
const FormatVersion = 1

// Config configures every role of the ingester; each role reads the sections
// that concern it.
type Config struct {
	// Version of the file's format, which is 1; 0 is read as that.
	Version int `json:"version"`
	// Listen is the address of POST /logs (serve, standalone).
	Listen string `json:"listen"`
	// AdminListen is the address of /metrics, /healthz and /readyz.
	AdminListen string `json:"adminListen"`
	// DataDir holds the chain and the segments (consume, standalone, verify).
	DataDir string `json:"dataDir"`
	// Topic is the Kafka topic that is written and read.
	Topic string `json:"topic"`
	// Instance names this process in the ids of its batches; empty means the
	// name of the host, which in Kubernetes is that of the pod.
	Instance string `json:"instance"`
	// Acknowledge says what has become of the records of a request when it is
	// answered with a receipt: Produced, all in-sync replicas have them, or
	// Queued, they are in the spool, or, without one, in this process's memory.
	// A client may ask for more, never for less.
	Acknowledge Acknowledge `json:"acknowledge"`

	Kafka          Kafka          `json:"kafka"`
	Queue          Queue          `json:"queue"`
	Spool          Spool          `json:"spool"`
	Producer       Producer       `json:"producer"`
	DeadLetter     DeadLetter     `json:"deadLetter"`
	RequestLimits  RequestLimits  `json:"requestLimits"`
	TLS            TLS            `json:"tls"`
	Authentication Authentication `json:"authentication"`
	Drain          Drain          `json:"drain"`
	Consumer       Consumer       `json:"consumer"`
	Segment        Segment        `json:"segment"`
	ObjectStore    ObjectStore    `json:"objectStore"`
	Retention      Retention      `json:"retention"`
	Aggregation    Aggregation    `json:"aggregation"`
	Standalone     Standalone     `json:"standalone"`
	Direct         Direct         `json:"direct"`
}

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
// when they change; connections that are open go on as they are.
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
// files are read again when they change.
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

// Queue bounds what waits for Kafka.
type Queue struct {
	// MaxBytes bounds the bodies that have been read, or admitted to be
	// read, and not yet been acknowledged by Kafka.
	MaxBytes Bytes `json:"maxBytes"`
}

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

// Drain is the sequence after SIGTERM.
type Drain struct {
	// DelaySeconds is how long new requests are still taken, while load
	// balancers learn that this pod leaves.
	DelaySeconds int `json:"delaySeconds"`
	// TimeoutSeconds bounds the delivery of what has been accepted, from the
	// end of the delay on.
	TimeoutSeconds int `json:"timeoutSeconds"`
}

// Consumer reads the topic.
type Consumer struct {
	// Group is the consumer group; empty means "logpipeline.<topic>".
	Group string `json:"group"`
	// InstanceID makes the process a static member of the group: started again
	// under the same id, within SessionTimeoutSeconds, it goes on with its
	// partitions, and nobody else stops for it. No two processes may have the
	// same id; in it, $HOSTNAME stands for the name of the host, which in
	// Kubernetes is that of the pod. Empty makes it a dynamic member.
	InstanceID string `json:"instanceID"`
	// SessionTimeoutSeconds is after how long without a sign of life the others
	// take the process's partitions over, 6 to 1800: the bounds of brokers that
	// aren't configured otherwise.
	SessionTimeoutSeconds int `json:"sessionTimeoutSeconds"`
	// OnLoss says what becomes of a partition whose next records are gone
	// before they were stored: Stop, it stands still until somebody decides, or
	// RecordGap, the chain records which offsets are missing, and goes on. Where
	// the brokers have lost records that are stored already, and others have
	// taken their offsets, RecordGap goes on behind them; that is counted and
	// logged only.
	OnLoss OnLoss `json:"onLoss"`
	// FetchMaxBytes bounds one fetch of one partition. A record batch that is
	// larger is fetched alone.
	FetchMaxBytes Bytes `json:"fetchMaxBytes"`
	// FetchMaxTotalBytes bounds what is fetched, and not yet in a segment, of
	// all partitions of a process, and up to 4 record batches of it decompressed.
	// What of these is larger than 4Mi, or alone larger than the bound, comes on
	// top.
	FetchMaxTotalBytes Bytes `json:"fetchMaxTotalBytes"`
}

// OnLoss says what a consumer does where records are gone.
type OnLoss string

const (
	// OnLossStop stops the partition.
	OnLossStop OnLoss = "Stop"
	// OnLossRecordGap records a gap and goes on.
	OnLossRecordGap OnLoss = "RecordGap"
)

// Segment says when a segment is sealed, whichever comes first.
type Segment struct {
	// MaxBytes bounds the lines of one segment, before they are compressed; a
	// segment ends with the record batch that reaches it.
	MaxBytes Bytes `json:"maxBytes"`
	// MaxAgeSeconds bounds the time from a segment's first record to its seal.
	MaxAgeSeconds int `json:"maxAgeSeconds"`
	// MaxOpenBytes bounds what all segments that a process has open take in
	// staging, as they are stored, but for what comes in while one is sealed;
	// the largest is sealed early.
	MaxOpenBytes Bytes `json:"maxOpenBytes"`
	// Compression is the codec of the segments' data: none, gzip or zstd.
	Compression Compression `json:"compression"`
}

// ObjectStore is where segments go instead of below dataDir, which then holds
// only what is local.
type ObjectStore struct {
	// URL names bucket and prefix: s3://bucket/prefix?region=eu-central-1,
	// gs://bucket/prefix or azblob://container/prefix. Empty means that the
	// segments are below dataDir. Credentials are found as the platform's own
	// tools find them. It changes the default of segment.maxAgeSeconds to 60
	// (ObjectStoreMaxAgeSeconds).
	URL string `json:"url"`
	// StagingDir holds data until it is uploaded; empty means dataDir/upload.
	StagingDir string `json:"stagingDir"`
}

// Retention says how long segments stay.
type Retention struct {
	// MaxAgeSeconds removes segments whose newest record is older; 0 means at
	// no age.
	MaxAgeSeconds int `json:"maxAgeSeconds"`
	// MaxBytes removes the oldest segments of a topic that stores more, each
	// partition having the same share; 0 means at no size.
	MaxBytes Bytes `json:"maxBytes"`
}

// PerPartition is the share of one of so many partitions.
func (r Retention) PerPartition(partitions int) Retention {
	if r.MaxBytes > 0 {
		r.MaxBytes = max(1, r.MaxBytes/Bytes(max(1, partitions)))
	}
	return r
}

// ObjectStoreMaxAgeSeconds is the default of segment.maxAgeSeconds for object
// stores, where each segment costs several requests.
const ObjectStoreMaxAgeSeconds = 60

// Aggregation says what is counted of the records that are stored. It is off
// while both GroupBy and Numeric are empty.
type Aggregation struct {
	// WindowSeconds is how long a window is. Windows begin at multiples of it
	// since the Unix epoch; a record is in that of its record batch's
	// timestamp.
	WindowSeconds int `json:"windowSeconds"`
	// GroupBy are dotted paths of fields: records with equal values in all of
	// them are counted together.
	GroupBy []string `json:"groupBy"`
	// Numeric are dotted paths of fields whose numbers are summed up: count,
	// sum, smallest, largest and quantiles.
	Numeric []string `json:"numeric"`
	// Quantiles are what is shown of a numeric field's distribution, each
	// from 0 to 1. All others can be had from the same roll-ups.
	Quantiles []float64 `json:"quantiles"`
	// MaxGroups bounds the groups of one window in one segment; records of
	// more groups are counted together, as other.
	MaxGroups int `json:"maxGroups"`
}

// Enabled reports whether anything is to be aggregated.
func (a Aggregation) Enabled() bool { return len(a.GroupBy) > 0 || len(a.Numeric) > 0 }

// Standalone configures the embedded Kafka of the standalone role.
type Standalone struct {
	// Partitions of the embedded topic when it is first created.
	Partitions int `json:"partitions"`
}

// Direct configures the role direct, which stores without Kafka.
type Direct struct {
	// JournalMaxBytes bounds dataDir/journal, which holds the records that are
	// acknowledged and not yet in a sealed segment. When it is full, requests
	// are refused until segments can be sealed.
	JournalMaxBytes Bytes `json:"journalMaxBytes"`
}

// Default returns the configuration in which every default is filled in and
// what has no default (bootstrap servers, topic) is empty.
func Default() Config {
	return Config{
		Version:     FormatVersion,
		Listen:      ":8080",
		AdminListen: ":9090",
		DataDir:     "./data",
		Acknowledge: AcknowledgeProduced,
		Kafka:       Kafka{BootstrapServers: []string{}, ClientID: "logpipeline"},
		Queue:       Queue{MaxBytes: 256 << 20},
		Producer: Producer{
			BatchRecords:              50_000,
			BatchBytes:                1_000_000,
			BatchMaxDelayMilliseconds: 5,
			DeliveryTimeoutSeconds:    120,
			Compression:               CompressionNone,
			RequiredAcks:              RequiredAcksAll,
			Headers:                   []string{},
		},
		DeadLetter: DeadLetter{MaxBytes: 64 << 20},
		RequestLimits: RequestLimits{
			MaxBodyBytes:          16 << 20,
			MaxRecordBytes:        1 << 20,
			MaxDepth:              64,
			MaxConnections:        1024,
			MaxInFlight:           4096,
			MinBodyBytesPerSecond: 1 << 10,
			BodyTimeoutSeconds:    30,
		},
		Authentication: Authentication{ClientCertificates: ClientCertificates{AllowedNames: []string{}}},
		Drain:          Drain{DelaySeconds: 5, TimeoutSeconds: 60},
		Consumer:       Consumer{SessionTimeoutSeconds: 30, OnLoss: OnLossStop, FetchMaxBytes: 4 << 20, FetchMaxTotalBytes: 64 << 20},
		Segment:        Segment{MaxBytes: 64 << 20, MaxAgeSeconds: 10, MaxOpenBytes: 1 << 30, Compression: CompressionNone},
		Aggregation: Aggregation{
			WindowSeconds: 60,
			GroupBy:       []string{},
			Numeric:       []string{},
			Quantiles:     []float64{0.5, 0.9, 0.99},
			MaxGroups:     500,
		},
		Standalone: Standalone{Partitions: 4},
		Direct:     Direct{JournalMaxBytes: 1 << 30},
	}
}

// ConsumerGroup is the group that the consumers of this configuration join.
func (c Config) ConsumerGroup() string {
	if c.Consumer.Group != "" {
		return c.Consumer.Group
	}
	return "logpipeline." + c.Topic
}

// SpoolDir is where the spool is.
func (c Config) SpoolDir() string { return orBelow(c.Spool.Dir, c.DataDir, "spool") }

// DeadLetterDir is where dead letters wait while Kafka is away.
func (c Config) DeadLetterDir() string { return orBelow(c.DeadLetter.Dir, c.DataDir, "dead-letters") }

// EmbeddedKafkaFile is where the role standalone says at which address its
// embedded Kafka listens, for commands that are run beside it.
func (c Config) EmbeddedKafkaFile() string { return filepath.Join(c.DataDir, "kafka", "address") }

// JournalDir is where the journal of the role direct is.
func (c Config) JournalDir() string { return filepath.Join(c.DataDir, "journal") }

// StagingDir is where data waits for its upload to an object store.
func (c Config) StagingDir() string { return orBelow(c.ObjectStore.StagingDir, c.DataDir, "upload") }

func orBelow(dir, parent, name string) string {
	if dir != "" {
		return dir
	}
	return filepath.Join(parent, name)
}

// batchOverhead is more than Kafka's record batch adds to one record: 61 bytes
// for the batch and at most 38 for the record.
const batchOverhead = 1 << 10

// TopicMaxMessageBytes is the max.message.bytes that a topic needs so that it
// takes every record that RequestLimits admits, and every batch of Producer.
func (c Config) TopicMaxMessageBytes() int64 {
	return int64(max(c.RequestLimits.MaxRecordBytes, c.Producer.BatchBytes)) + batchOverhead
}

// DefaultFor returns the defaults of a role. Standalone and direct have a topic
// and don't wait for load balancers when they drain; the others are as in
// Default.
func DefaultFor(role Role) Config {
	c := Default()
	if role == RoleStandalone || role == RoleDirect {
		c.Topic = "logs"
		c.Drain.DelaySeconds = 0
	}
	return c
}

// Parse reads a YAML document over the defaults. A field that the format does
// not have is an error, and so is a version that this release cannot read.
func Parse(document []byte, defaults Config) (Config, error) {
	c := defaults
	asJSON, err := yaml.YAMLToJSONStrict(document)
	if err != nil {
		return Config{}, fmt.Errorf("parse configuration: %s", strings.TrimPrefix(err.Error(), "error converting YAML to JSON: "))
	}
	if err := checkDocument(asJSON); err != nil {
		return Config{}, fmt.Errorf("parse configuration: %w", err)
	}
	var choice struct {
		ObjectStore ObjectStore `json:"objectStore"`
	}
	if json.UnmarshalCaseSensitivePreserveInts(asJSON, &choice) == nil && choice.ObjectStore.URL != "" {
		c.Segment.MaxAgeSeconds = ObjectStoreMaxAgeSeconds
	}
	strict, err := json.UnmarshalStrict(asJSON, &c)
	if err := errors.Join(append(strict, err)...); err != nil {
		return Config{}, fmt.Errorf("parse configuration: %w", err)
	}
	if c.Version == 0 {
		c.Version = FormatVersion
	}
	if c.Version != FormatVersion {
		return Config{}, fmt.Errorf("parse configuration: version is %d, but this release reads version %d: use a matching release", c.Version, FormatVersion)
	}
	return c, nil
}

// ReadFile parses the file at path over the defaults, or returns these for "".
func ReadFile(path string, defaults Config) (Config, error) {
	if path == "" {
		return defaults, nil
	}
	document, err := os.ReadFile(path)
	if err != nil {
		return Config{}, fmt.Errorf("read configuration: %w", err)
	}
	c, err := Parse(document, defaults)
	if err != nil {
		return Config{}, fmt.Errorf("%s: %w", path, err)
	}
	return c, nil
}

// Marshal renders the configuration as the YAML that Parse reads.
func (c Config) Marshal() ([]byte, error) {
	document, err := yaml.Marshal(c)
	if err != nil {
		return nil, fmt.Errorf("render configuration: %w", err)
	}
	return document, nil
}

// hostname stands for the name of the host in Consumer.InstanceID.
const hostname = "$HOSTNAME"

// StaticID is InstanceID with the name of the host filled in.
func (c Consumer) StaticID() (string, error) {
	if !strings.Contains(c.InstanceID, hostname) {
		return c.InstanceID, nil
	}
	host, err := os.Hostname()
	if err != nil {
		return "", fmt.Errorf("consumer.instanceID is %q, but the host's name is not known: %w", c.InstanceID, err)
	}
	return strings.ReplaceAll(c.InstanceID, hostname, host), nil
}
