package record

import "time"

// Assignment is a record batch as it is first sent: which records, under which
// numbers. A broker that gets it again, as it was, appends it once.
type Assignment struct {
	Partition     int32
	ProducerID    int64
	ProducerEpoch int16
	Sequence      int32
	// After is the offset after the last one that this writer knew to be
	// acknowledged in the partition, -1 when it knew none: a search for the
	// record batch in the log begins there.
	After int64
	// Sections are its records, in order.
	Sections []AssignedSection
	// Time is when it was first sent. Brokers forget a producer id some time
	// after its last batch (producer.id.expiration.ms).
	Time time.Time
}

// AssignedSection is the records From up to, and without, To of an entry of
// the spool.
type AssignedSection struct {
	Position uint64
	From, To int
}

// Reopened is a record batch of an earlier run whose fate was open when that
// ended. It goes out as it was, before anything else in its partition.
type Reopened struct {
	Assignment Assignment
	// Batches hold the records of the assignment's sections, one each.
	Batches []*Batch
}
