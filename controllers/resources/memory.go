package resources

import (
	"github.com/logpipeline/logpipeline/ingester/config"
)

const mebibyte = int64(1) << 20

// runtimeBytes is what a process of ours takes beside its bounded buffers:
// code, stacks, connections and the garbage collector's head room.
const runtimeBytes = 128 * mebibyte

// ingesterMemory bounds an ingester: what the queue admits, once more as
// encoded record batches, and the process itself.
func ingesterMemory(c config.Config) int64 {
	return 2*int64(c.Queue.MaxBytes) + runtimeBytes
}

// leastIngesterMemory is what an ingester gets by with, the collector working
// harder: with a queue of 256Mi kept full by 64 connections, and GOMEMLIMIT at
// nine tenths of this, its resident memory was measured at 331Mi.
func leastIngesterMemory(c config.Config) int64 {
	return int64(c.Queue.MaxBytes) + 96*mebibyte
}

// What a consumer holds for each partition beside what it fetches: the buffer
// of the open segment, its connection and its stacks, a codec's window, and
// the parts of an upload, of which package segment has two at once and the
// store's library one more.
const (
	partitionBytes = 320 << 10
	codecBytes     = mebibyte
	uploadBytes    = 3 * 5 * mebibyte
)

// consumerMemory bounds a consumer, which may hold every partition: all that it
// fetches at a time, what stays open for each, and the process itself.
func consumerMemory(c config.Config, partitions int32) int64 {
	each := int64(partitionBytes)
	if c.Segment.Compression != config.CompressionNone {
		each += codecBytes
	}
	if c.ObjectStore.URL != "" {
		each += uploadBytes
	}
	return int64(c.Consumer.FetchMaxTotalBytes) + int64(partitions)*each + runtimeBytes
}
