package record

// Span is a run of consecutive offsets of one partition and what they hold.
// Offsets without records (control batches, compaction) are part of the run,
// so NextOffset - BaseOffset may be larger than Records.
type Span struct {
	BaseOffset int64 // first offset of the run
	NextOffset int64 // the offset after the last one of the run
	Records    int64 // records in it
	// FirstTimestamp and LastTimestamp are the smallest and largest Kafka
	// timestamps of its records, in milliseconds since the Unix epoch;
	// meaningless while Records is 0.
	FirstTimestamp int64
	LastTimestamp  int64
	LeaderEpoch    int32 // of the last batch in it, -1 when unknown
}
