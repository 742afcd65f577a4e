package main

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// restart has a consumer seal every record by itself, stops it, adds a record
// to each partition, and measures how long it takes to store those.
func (o options) restart(ctx context.Context) error {
	const partitions = 4
	return o.with(ctx, "restart", partitions, func(c *consumer) error {
		c.config.Segment.MaxBytes = 1
		if err := c.fill(ctx, partitions, o.segments, 1, "none"); err != nil {
			return err
		}
		if err := c.start(); err != nil {
			return err
		}
		if err := errors.Join(c.awaitStored(ctx, int64(o.segments), 100*time.Millisecond), c.Stop(time.Minute)); err != nil {
			return err
		}
		fmt.Printf("restart: %d segments sealed in %.1f s\n", o.segments, time.Since(c.began).Seconds())
		if err := c.fill(ctx, partitions, partitions, 1, "none"); err != nil {
			return err
		}
		if err := c.start(); err != nil {
			return err
		}
		err := c.awaitStored(ctx, partitions, 10*time.Millisecond)
		took := time.Since(c.began)
		if err := errors.Join(err, c.Stop(time.Minute)); err != nil {
			return err
		}
		return o.checkRestart(ctx, c, took, int64(o.segments+partitions))
	})
}

func (o options) checkRestart(ctx context.Context, c *consumer, took time.Duration, segments int64) error {
	verified, err := c.verify(ctx, segments)
	if err != nil {
		return err
	}
	if verified.Segments != segments {
		return fmt.Errorf("%d segments are sealed, want %d: the restart was not measured with them", verified.Segments, segments)
	}
	fmt.Printf("restart: new records stored %.2f s after the start, bound %.2f s\n", took.Seconds(), o.within.Seconds())
	if took > o.within {
		return fmt.Errorf("new records were stored %.2f s after the start, the bound is %.2f s", took.Seconds(), o.within.Seconds())
	}
	return nil
}
