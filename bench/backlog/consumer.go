package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/logpipeline/logpipeline/bench/broker"
	"github.com/logpipeline/logpipeline/bench/process"
	"github.com/logpipeline/logpipeline/bench/records"
	"github.com/logpipeline/logpipeline/bench/report"
	"github.com/logpipeline/logpipeline/ingester/config"
)

// consumer is an ingester that stores a topic of its own, in a folder of its
// own. Its process may be stopped and started again.
type consumer struct {
	options
	dir    string
	topic  *broker.Broker
	config config.Config
	*process.Process
	began time.Time // of the process
}

// with gives f a consumer that isn't started yet, and a topic of so many
// partitions. What is left of both is removed, unless f fails: then the folder
// stays.
func (o options) with(ctx context.Context, name string, partitions int, f func(*consumer) error) error {
	topic, err := broker.UseRunning(ctx, o.kafka, fmt.Sprintf("bench-%s-%d", name, time.Now().UnixNano()), partitions)
	if err != nil {
		return err
	}
	defer func() { _ = topic.Close(context.WithoutCancel(ctx)) }() // a left topic harms nobody
	dir, err := os.MkdirTemp("", "bench-"+name+"-")
	if err != nil {
		return err
	}
	c := &consumer{options: o, dir: dir, topic: topic, config: config.Default()}
	c.config.DataDir = filepath.Join(dir, "data")
	c.config.Topic, c.config.Kafka.BootstrapServers = topic.Topic, []string{o.kafka}
	if err := f(c); err != nil {
		return fmt.Errorf("%s: %w (see %s)", name, err, dir)
	}
	return os.RemoveAll(dir)
}

// fill writes n records, of so many a record batch.
func (c *consumer) fill(ctx context.Context, partitions, n, batchRecords int, codec string) error {
	topic := records.Topic{Brokers: c.kafka, Name: c.topic.Topic, Partitions: partitions, Codec: codec, BatchRecords: batchRecords}
	_, err := topic.Fill(ctx, uint64(n), n)
	return err
}

func (c *consumer) start() (err error) {
	if c.config.AdminListen, err = process.FreeAddress(); err != nil {
		return err
	}
	document, err := c.config.Marshal()
	if err != nil {
		return err
	}
	file := filepath.Join(c.dir, "config.yaml")
	if err := os.WriteFile(file, document, 0o600); err != nil {
		return err
	}
	c.began = time.Now()
	c.Process, err = process.Start(filepath.Join(c.dir, "log"), c.program(), "consume", "--config", file)
	return err
}

func (c *consumer) program() string { return filepath.Join(c.binaries, "ingester") }

// awaitStored returns once this process has stored so many records.
func (c *consumer) awaitStored(ctx context.Context, records int64, interval time.Duration) error {
	for deadline := time.Now().Add(c.patience); ; time.Sleep(interval) {
		stored, err := c.stored(ctx)
		switch {
		case stored >= records:
			return nil
		case c.Exited():
			return errors.New("the consumer has ended")
		case ctx.Err() != nil:
			return ctx.Err()
		case time.Now().After(deadline):
			return fmt.Errorf("%d of %d records are stored after %v (%w)", stored, records, c.patience, err)
		}
	}
}

// stored reads a metric, and returns -1 when there is none, as in a process
// that has just been started.
func (c *consumer) stored(ctx context.Context) (int64, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+c.config.AdminListen+"/metrics", http.NoBody)
	if err != nil {
		return -1, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return -1, err
	}
	defer func() { _ = response.Body.Close() }()
	page, err := io.ReadAll(response.Body)
	if err != nil {
		return -1, err
	}
	const metric = "logpipeline_segment_stored_records_total "
	for line := range bytes.Lines(page) {
		if value, found := bytes.CutPrefix(line, []byte(metric)); found {
			f, err := strconv.ParseFloat(string(bytes.TrimSpace(value)), 64)
			return int64(f), err
		}
	}
	return -1, fmt.Errorf("there is no metric %s", metric)
}

// verify fails unless so many records are proven to be stored.
func (c *consumer) verify(ctx context.Context, records int64) (report.Verified, error) {
	verified, err := report.Verify(ctx, c.program(), c.config.DataDir)
	if err == nil && verified.Records != records {
		err = fmt.Errorf("%d records were stored, want %d", verified.Records, records)
	}
	return verified, err
}
