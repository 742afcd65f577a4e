package main

import (
	"context"
	"errors"
	"os"
	"time"

	"github.com/segmentio/kafka-go"
	"golang.org/x/sync/errgroup"
)

const (
	consumers    = 10
	batchSize    = 50_000
	batchTimeout = 200 * time.Millisecond
)

// consumeReviewed is the consumer of version 2 as it was reviewed. The
// aggregation that followed is left out.
func consumeReviewed(ctx context.Context, s settings) error {
	group, ctx := errgroup.WithContext(ctx)
	for range consumers {
		group.Go(func() error { return consumeBatches(ctx, s) })
	}
	return group.Wait()
}

func consumeBatches(ctx context.Context, s settings) (err error) {
	reader := newReader(s)
	defer func() { err = errors.Join(err, reader.Close()) }()
	for {
		batch, err := readBatch(ctx, reader)
		if err != nil {
			return err
		}
		for _, m := range batch {
			if err := persist(s.file, m.Value); err != nil {
				return err
			}
		}
		if err := reader.CommitMessages(ctx, batch...); err != nil {
			return err
		}
	}
}

// readBatch returns up to batchSize messages, as many as come within
// batchTimeout of the first.
func readBatch(ctx context.Context, reader *kafka.Reader) ([]kafka.Message, error) {
	first, err := reader.FetchMessage(ctx)
	if err != nil {
		return nil, err
	}
	batch := []kafka.Message{first}
	filling, cancel := context.WithTimeout(ctx, batchTimeout)
	defer cancel()
	for len(batch) < batchSize {
		m, err := reader.FetchMessage(filling)
		if err != nil && filling.Err() != nil {
			break
		}
		if err != nil {
			return nil, err
		}
		batch = append(batch, m)
	}
	return batch, ctx.Err()
}

// persist is the fault that the review found: every record opens and closes
// the file.
func persist(name string, record []byte) error {
	file, err := os.OpenFile(name, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = file.Write(append(record, '\n'))
	return errors.Join(err, file.Close())
}
