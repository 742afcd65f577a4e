package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/logpipeline/logpipeline/ingester/config"
	"github.com/logpipeline/logpipeline/ingester/kafka"
)

const (
	restoreWait     = 500 * time.Millisecond
	restoreAttempts = 10
	restorePause    = time.Second
)

// restore fetches a range of a partition from Kafka once more, into a folder
// of its own: no chain knows of it.
func restore(ctx context.Context, arguments []string, out output) error {
	flags := flag.NewFlagSet("restore", flag.ContinueOnError)
	file := flags.String("config", "", "read brokers and topic from this configuration `file`")
	topic := flags.String("topic", "", "the `topic`, if not the configuration's")
	partition := flags.Int("partition", -1, "the partition")
	from := flags.Int64("from", -1, "the first `offset`")
	until := flags.Int64("until", -1, "the `offset` after the last one; without it, the end of Kafka's log")
	to := flags.String("to", "", "write into this `directory`, which is not a data directory")
	if err := parse(flags, arguments, out); err != nil {
		return err
	}
	cfg, err := config.ReadFile(*file, config.Default())
	if err != nil {
		return err
	}
	if *topic != "" {
		cfg.Topic = *topic
	}
	switch {
	case len(cfg.Kafka.BootstrapServers) == 0 || cfg.Topic == "":
		return usageError{errors.New("no brokers or no topic: give --config")}
	case *partition < 0 || *from < 0 || *to == "":
		return usageError{errors.New("give --partition, --from and --to")}
	case *until >= 0 && *until <= *from:
		return usageError{fmt.Errorf("--until is %d: give an offset after --from, %d", *until, *from)}
	}
	client := kafka.New(cfg.Kafka, cfg.Topic)
	defer client.Close()
	r := restoration{client: client, next: *from, request: kafka.FetchRequest{
		Topic: cfg.Topic, Partition: int32(*partition), LeaderEpoch: -1,
		MaxBytes: int(cfg.Consumer.FetchMaxBytes), MinBytes: 1, MaxWait: restoreWait,
	}}
	r.manifest = manifest{Version: manifestVersion, Topic: cfg.Topic, Partition: int32(*partition), FirstOffset: *from, NextOffset: *until}
	if err := r.run(ctx, *to); err != nil {
		return err
	}
	return r.manifest.writeText(out.stdout, *to)
}

// restoration is one range on its way from Kafka into a file.
type restoration struct {
	client   *kafka.Client
	request  kafka.FetchRequest
	reader   kafka.BatchReader
	manifest manifest
	next     int64 // the next offset to fetch
	lines    *linesFile
}

func (r *restoration) run(ctx context.Context, dir string) (err error) {
	if err := r.locate(ctx); err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Join(dir, "chain")); err == nil {
		return fmt.Errorf("--to is %q, which holds a chain: choose a directory of its own", dir)
	}
	if r.lines, err = createLines(dir, r.manifest.name()); err != nil {
		return err
	}
	for r.next < r.manifest.NextOffset && err == nil {
		err = r.fetch(ctx)
	}
	if err == nil {
		err = r.lines.publish(&r.manifest)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("restore %s/%d: %w", r.manifest.Topic, r.manifest.Partition, err), r.lines.drop())
	}
	return nil
}

// locate checks the range against what Kafka has, and finds its end.
func (r *restoration) locate(ctx context.Context) error {
	m := &r.manifest
	topic, err := r.client.Topic(ctx, m.Topic)
	if err != nil {
		return err
	}
	m.TopicID, m.ClusterID = topic.ID, topic.ClusterID
	start, end, err := r.client.Offsets(ctx, m.Topic, m.Partition)
	if err != nil {
		return err
	}
	if m.NextOffset < 0 {
		m.NextOffset = end
	}
	if m.FirstOffset < start || m.NextOffset > end || m.FirstOffset >= m.NextOffset {
		return fmt.Errorf("offsets %d to %d of %s/%d are not all in Kafka: its log begins at offset %d and ends before %d", m.FirstOffset, m.NextOffset-1, m.Topic, m.Partition, start, end)
	}
	return nil
}

func (r *restoration) fetch(ctx context.Context) error {
	r.request.Offset = r.next
	response, err := r.client.Fetch(ctx, &r.request)
	for attempt := 1; err != nil; attempt++ {
		if attempt == restoreAttempts || errors.Is(err, kafka.OffsetOutOfRange) {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(restorePause):
			response, err = r.client.Fetch(ctx, &r.request)
		}
	}
	r.reader.Reset(response.Records, r.next, response.Aborted)
	for r.next < r.manifest.NextOffset {
		batch, err := r.reader.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil {
			err = r.write(batch)
		}
		if err != nil {
			return fmt.Errorf("after offset %d: %w", r.next-1, err)
		}
	}
	return nil
}

// write takes the records of a batch that are in the range.
func (r *restoration) write(batch *kafka.RecordBatch) error {
	var record kafka.Record
	for batch.Next(&record) {
		if record.Offset >= r.manifest.NextOffset {
			r.next = r.manifest.NextOffset
			return nil
		}
		if defect := defectOf(record.Value); defect != "" {
			r.manifest.Skipped = append(r.manifest.Skipped, skipped{record.Offset, defect})
			continue
		}
		if err := r.lines.write(record.Value); err != nil {
			return err
		}
		r.manifest.count(record)
	}
	r.next = batch.NextOffset
	return batch.Err()
}

// defectOf says why a value is not one line, or "".
func defectOf(value []byte) string {
	switch {
	case value == nil:
		return "is null"
	case len(value) == 0:
		return "is empty"
	case bytes.IndexByte(value, '\n') >= 0:
		return "contains a line break"
	}
	return ""
}
