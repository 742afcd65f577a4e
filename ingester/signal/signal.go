// Package signal is what a pod of the data path tells those who scale it, as
// JSON at GET /signals of its admin address. Both sides use these very
// structs, so that the two cannot disagree. Numbers that only ever grow begin
// again at 0 when a process starts; Started tells one process from the next.
package signal

import "time"

// FormatVersion is the version of the format that this release writes. Readers
// refuse what is newer; fields may be added without a new version.
const FormatVersion = 1

// Path is where both roles serve their signals.
const Path = "/signals"

// Signals is the answer of one process: exactly one of Ingester and Consumer
// is set; the standalone role sets both.
type Signals struct {
	Version  int       `json:"version"`
	Started  time.Time `json:"started"`
	Ingester *Ingester `json:"ingester,omitempty"`
	Consumer *Consumer `json:"consumer,omitempty"`
}

// Ingester is what the intake knows of itself.
type Ingester struct {
	// Draining says that the process takes leave: its queue only shrinks.
	Draining bool `json:"draining"`
	// QueueBytes are reserved of QueueCapacityBytes.
	QueueBytes         int64 `json:"queueBytes"`
	QueueCapacityBytes int64 `json:"queueCapacityBytes"`
	// SpoolRecords are acknowledged and on this pod's disk alone: they are lost
	// with the pod.
	SpoolRecords int64 `json:"spoolRecords"`
	// AcceptedRecords have been taken from clients since the start.
	AcceptedRecords int64 `json:"acceptedRecords"`
	// ProducedBatches are the record batches that Kafka has acknowledged since
	// the start, ProduceSeconds the sum of the times from the first sending of
	// each to its acknowledgement, ProduceRetries the sendings that failed.
	ProducedBatches int64   `json:"producedBatches"`
	ProduceSeconds  float64 `json:"produceSeconds"`
	ProduceRetries  int64   `json:"produceRetries"`
	// KafkaUnreachable says that Kafka takes nothing at the moment, so that
	// more pods would not help.
	KafkaUnreachable bool `json:"kafkaUnreachable"`
}

// Consumer is what a member of the consumer group knows of itself.
type Consumer struct {
	// Group, MemberID and Generation say for which generation of the group
	// Partitions is the truth; Generation is -1 while the process has none.
	Group      string `json:"group"`
	MemberID   string `json:"memberID"`
	Generation int32  `json:"generation"`
	TopicID    string `json:"topicID"`
	// AppendedRecords have been written to segments since the start.
	AppendedRecords int64 `json:"appendedRecords"`
	// BusySeconds is the time since the start in which at least one partition
	// had more to read than it had fetched: AppendedRecords per busy second is
	// how fast this process drains.
	BusySeconds float64 `json:"busySeconds"`
	// StoreFailure is why the store could not be opened yet or, once it was, why
	// it takes nothing of a partition for the time being; empty while it does.
	StoreFailure string `json:"storeFailure,omitempty"`
	// Partitions that this process owns.
	Partitions []Partition `json:"partitions"`
}

// Partition is how far one partition's owner has come.
type Partition struct {
	Partition int32 `json:"partition"`
	// SealedOffset is the offset after the last that is stored for good.
	SealedOffset int64 `json:"sealedOffset"`
	// NextOffset is the offset after the last that has been written to a
	// segment, sealed or not.
	NextOffset int64 `json:"nextOffset"`
	// FirstUnsealed is the ingest time of the first record that is written but
	// not sealed; none when there is no such record.
	FirstUnsealed *time.Time `json:"firstUnsealed,omitempty"`
	// Stopped is why the partition stands still until somebody decides; empty
	// while it does not.
	Stopped string `json:"stopped,omitempty"`
	// StoppedMessage says that in a sentence, with the remedy.
	StoppedMessage string `json:"stoppedMessage,omitempty"`
}
