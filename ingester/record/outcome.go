package record

import "errors"

// Outcome is what became of a batch.
type Outcome struct {
	// Placements say where the records are, in the order of the records.
	Placements []Placement
	// Err is nil when every record is acknowledged by all in-sync replicas.
	// Otherwise it wraps one of the errors below.
	Err error
}

// Placement is a range of offsets in one partition, both ends included.
type Placement struct {
	Topic       string `json:"topic"`
	Partition   int32  `json:"partition"`
	FirstOffset int64  `json:"firstOffset"`
	LastOffset  int64  `json:"lastOffset"`
}

var (
	// ErrFull refuses a reservation: the queue's bound in bytes is reached.
	ErrFull = errors.New("queue is full")
	// ErrClosed refuses a reservation: the queue is draining.
	ErrClosed = errors.New("queue is closed")
	// ErrNeverFits refuses a reservation that is larger than the queue's bound.
	ErrNeverFits = errors.New("larger than the whole queue")

	// ErrSpoolFull refuses a batch: the spool's bound in bytes is reached, or
	// its disk is full.
	ErrSpoolFull = errors.New("spool is full")

	// ErrNotDelivered is definite: no record of the batch's undelivered part
	// is, or will be, in Kafka.
	ErrNotDelivered = errors.New("records are not in Kafka")
	// ErrTooLarge is definite, and the client's to mend: the topic refuses a
	// record for its size.
	ErrTooLarge = errors.New("record is larger than the topic takes")
	// ErrRefused is definite, and not mended by another attempt: the topic
	// refuses a record as it is.
	ErrRefused = errors.New("record is not one that the topic takes")
	// ErrOutcomeUnknown is in doubt: records may or may not be in Kafka.
	ErrOutcomeUnknown = errors.New("outcome is unknown")
)
