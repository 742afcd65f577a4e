package consumer_test

import (
	"strings"
	"testing"
	"time"

	"github.com/logpipeline/logpipeline/ingester/config"
)

// TestBacklogOfManyPartitionsInLittleMemory: the memory is enough for two
// fetches, and some batches are larger than all of it.
func TestBacklogOfManyPartitionsInLittleMemory(t *testing.T) {
	const partitions = 12
	onEveryBroker(t, partitions, func(t *testing.T, b *topic) {
		dir := t.TempDir()
		for partition := range int32(partitions) {
			b.produce(partition, 300)
		}
		long := `{"message":"` + strings.Repeat("x", 100_000) + `"}`
		for partition := range int32(2) {
			b.send(partition, time.Now(), long, long, long)
			b.send(partition, time.Now(), long)
		}
		p := start(b, dir, func(cfg *config.Config) {
			cfg.Segment.MaxBytes = 1 << 20
			cfg.Consumer.FetchMaxBytes = 4 << 10
			cfg.Consumer.FetchMaxTotalBytes = 40 << 10 // and 16 KiB of overhead belong to each
		})
		eventually(t, "store", storedRecords(p, 300*partitions+8))
		p.stop()
		expectProven(t, dir)
		b.sent[0], b.sent[1] = 0, 0 // theirs end with other lines
		expectExact(b, dir)
	})
}
