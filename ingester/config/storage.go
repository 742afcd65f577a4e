package config

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"slices"
	"strings"
)

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
