package record

import "time"

// DeadLetter is records that were not delivered, or are not known to have
// been, and whose client can't be told so any more.
type DeadLetter struct {
	// Batch is the id of their batch, and FirstRecord the index in it of the
	// first of them: together they tell one dead letter from another.
	Batch       string
	FirstRecord int
	// Reason is what the last attempt failed with, for a person.
	Reason string
	// Unknown is set where the records may be in the topic nevertheless.
	Unknown bool
	// Acknowledged is that of their batch: the client holds a receipt for them,
	// or may hold one, and won't send them again.
	Acknowledged bool
	// Topic and Partition are where they should have gone; Partition is -1
	// where none had been chosen.
	Topic     string
	Partition int32
	// Received is when the request came, and Time when it was given up.
	Received time.Time
	Time     time.Time
	// Headers are the Kafka headers of every record.
	Headers []Header
	// Records are byte for byte what the client sent. They are valid during
	// the call that hands the letter over.
	Records [][]byte
}
