package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/logpipeline/logpipeline/bench/process"
)

// memory has a consumer with default bounds store a backlog of many
// partitions, in record batches of so many records.
func (o options) memory(ctx context.Context, codec string, batchRecords int) error {
	return o.with(ctx, "memory-"+codec, o.partitions, func(c *consumer) error {
		c.config.Segment.MaxAgeSeconds = 1 // not to wait for the last ones
		if err := c.fill(ctx, o.partitions, o.records, batchRecords, codec); err != nil {
			return err
		}
		if err := c.start(); err != nil {
			return err
		}
		stored := c.awaitStored(ctx, int64(o.records), 200*time.Millisecond)
		took := time.Since(c.began)
		resident, err := c.Memory()
		if err := errors.Join(stored, err, c.Stop(time.Minute)); err != nil {
			return err
		}
		if _, err := c.verify(ctx, int64(o.records)); err != nil {
			return err
		}
		fmt.Printf("memory, topic %s, %d records a batch: %d records of %d partitions stored in %.1f s, ", codec, batchRecords, o.records, o.partitions, took.Seconds())
		return o.checkMemory(resident, int64(c.config.Consumer.FetchMaxTotalBytes)+o.slackBytes)
	})
}

func (o options) checkMemory(resident process.Memory, bound int64) error {
	fmt.Printf("resident at most %d MiB, bound %d MiB\n", resident.Peak>>20, bound>>20)
	if resident.Peak > bound {
		return fmt.Errorf("resident memory was %d MiB, the bound is %d MiB", resident.Peak>>20, bound>>20)
	}
	return nil
}
