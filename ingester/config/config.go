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
	// Listen is the address of POST /logs (all roles but consume).
	Listen string `json:"listen"`
	// AdminListen is the address of /metrics, /healthz, /readyz and /signals.
	AdminListen string `json:"adminListen"`
	// DataDir holds the chain and the segments, unless objectStore.url is set,
	// and, unless they have folders of their own, what else a role keeps on disk.
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

// Drain is the sequence after SIGTERM.
type Drain struct {
	// DelaySeconds is how long new requests are still taken, while load
	// balancers learn that this pod leaves.
	DelaySeconds int `json:"delaySeconds"`
	// TimeoutSeconds bounds the delivery of what has been accepted, from the
	// end of the delay on.
	TimeoutSeconds int `json:"timeoutSeconds"`
}

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
