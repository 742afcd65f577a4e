// Package config is what the roles of the ingester are told: one struct, read
// from one YAML file, with every default beside the field that it fills. The
// operator renders an ingester's configuration by marshalling this very
// struct, so the two cannot disagree.
package config

import (
	"errors"
	"fmt"
	"os"

	"sigs.k8s.io/json"
	"sigs.k8s.io/yaml"
)

// FormatVersion is the version of the file's format that this release writes
// and reads.
const FormatVersion = 1

// Config configures every role of the ingester; each role reads the sections
// that concern it.
type Config struct {
	// Version of the file's format; 0 is read as FormatVersion.
	Version int `json:"version"`
	// Listen is the address of POST /logs (serve, standalone).
	Listen string `json:"listen"`
	// AdminListen is the address of /metrics, /healthz and /readyz.
	AdminListen string `json:"adminListen"`
	// DataDir holds the chain and the segments (consume, standalone, verify).
	DataDir string `json:"dataDir"`
	// Topic is the Kafka topic that is written and read.
	Topic string `json:"topic"`

	Kafka         Kafka         `json:"kafka"`
	Queue         Queue         `json:"queue"`
	Producer      Producer      `json:"producer"`
	RequestLimits RequestLimits `json:"requestLimits"`
	Drain         Drain         `json:"drain"`
	Consumer      Consumer      `json:"consumer"`
	Segment       Segment       `json:"segment"`
	Standalone    Standalone    `json:"standalone"`
}

// Kafka says how the brokers are reached.
type Kafka struct {
	// BootstrapServers are 1 to 16 host:port addresses.
	BootstrapServers []string `json:"bootstrapServers"`
	// ClientID names the client in the brokers' logs and quotas.
	ClientID string `json:"clientID"`
}

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
	// DeliveryTimeoutSeconds bounds how long a record batch is retried.
	DeliveryTimeoutSeconds int `json:"deliveryTimeoutSeconds"`
}

// RequestLimits bound one request.
type RequestLimits struct {
	// MaxBodyBytes bounds a request's body.
	MaxBodyBytes Bytes `json:"maxBodyBytes"`
	// MaxRecordBytes bounds one record.
	MaxRecordBytes Bytes `json:"maxRecordBytes"`
	// MaxDepth bounds how deep arrays and objects of a record are nested.
	MaxDepth int `json:"maxDepth"`
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
	// FetchMaxBytes bounds one fetch of one partition.
	FetchMaxBytes Bytes `json:"fetchMaxBytes"`
}

// Segment says when a segment is sealed, whichever comes first.
type Segment struct {
	// MaxBytes bounds the data of one segment; a segment ends with the
	// record batch that reaches it.
	MaxBytes Bytes `json:"maxBytes"`
	// MaxAgeSeconds bounds the time from a segment's first record to its seal.
	MaxAgeSeconds int `json:"maxAgeSeconds"`
}

// Standalone configures the embedded Kafka of the standalone role.
type Standalone struct {
	// Partitions of the embedded topic when it is first created.
	Partitions int `json:"partitions"`
}

// Default returns the configuration in which every default is filled in and
// what has no default (bootstrap servers, topic) is empty.
func Default() Config {
	return Config{
		Version:     FormatVersion,
		Listen:      ":8080",
		AdminListen: ":9090",
		DataDir:     "./data",
		Kafka:       Kafka{BootstrapServers: []string{}, ClientID: "logpipeline"},
		Queue:       Queue{MaxBytes: 256 << 20},
		Producer: Producer{
			BatchRecords:              50_000,
			BatchBytes:                1_000_000,
			BatchMaxDelayMilliseconds: 5,
			DeliveryTimeoutSeconds:    120,
		},
		RequestLimits: RequestLimits{MaxBodyBytes: 16 << 20, MaxRecordBytes: 1 << 20, MaxDepth: 64},
		Drain:         Drain{DelaySeconds: 5, TimeoutSeconds: 60},
		Consumer:      Consumer{FetchMaxBytes: 4 << 20},
		Segment:       Segment{MaxBytes: 64 << 20, MaxAgeSeconds: 10},
		Standalone:    Standalone{Partitions: 4},
	}
}

// ConsumerGroup is the group that the consumers of this configuration join.
func (c Config) ConsumerGroup() string {
	if c.Consumer.Group != "" {
		return c.Consumer.Group
	}
	return "logpipeline." + c.Topic
}

// batchOverhead is more than Kafka's record batch adds to one record: 61 bytes
// for the batch and at most 38 for the record.
const batchOverhead = 1 << 10

// TopicMaxMessageBytes is the max.message.bytes that a topic needs so that it
// takes every record that RequestLimits admits, and every batch of Producer.
func (c Config) TopicMaxMessageBytes() int64 {
	return int64(max(c.RequestLimits.MaxRecordBytes, c.Producer.BatchBytes)) + batchOverhead
}

// DefaultFor returns the defaults of a role. Standalone has a topic and does
// not wait for load balancers when it drains; the others are as in Default.
func DefaultFor(role Role) Config {
	c := Default()
	if role == RoleStandalone {
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
		return Config{}, fmt.Errorf("parse configuration: %w", err)
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
