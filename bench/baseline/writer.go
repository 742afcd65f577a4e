package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/segmentio/kafka-go"
)

// newWriter is kafka-go's Writer as one would set it for this: a batch goes out
// when it is full or after the delay, all in-sync replicas acknowledge.
func newWriter(s settings, batchSize int, delay time.Duration) (*kafka.Writer, error) {
	codec, err := compression(s.compression)
	if err != nil {
		return nil, err
	}
	return &kafka.Writer{
		Addr:         kafka.TCP(s.brokers),
		Topic:        s.topic,
		Balancer:     &kafka.RoundRobin{},
		BatchSize:    batchSize,
		BatchTimeout: delay,
		RequiredAcks: kafka.RequireAll,
		Compression:  codec,
	}, nil
}

func compression(name string) (kafka.Compression, error) {
	if name == "none" {
		return 0, nil
	}
	var codec kafka.Compression
	if err := codec.UnmarshalText([]byte(name)); err != nil {
		return 0, fmt.Errorf("--compression is %q: choose none or snappy", name)
	}
	return codec, nil
}

// newHandler is the earlier version 2: 202 means that the batch is in Kafka.
// The description gives no batching. The delay is LogPipeline's default; the
// size is the one that costs least here, for the Writer allocates it in full
// for each batch.
func newHandler(s settings) (design, error) {
	writer, err := newWriter(s, 1000, 5*time.Millisecond)
	if err != nil {
		return design{}, err
	}
	store := func(r *http.Request, body []byte) error {
		return writer.WriteMessages(r.Context(), messages(lines(body))...)
	}
	return design{store, http.StatusAccepted}, nil
}

// newChecked is the plain way: handler, and each record must be JSON.
func newChecked(s settings) (design, error) {
	d, err := newHandler(s)
	if err != nil {
		return design{}, err
	}
	produce := d.store
	d.status = http.StatusOK
	d.store = func(r *http.Request, body []byte) error {
		for i, line := range lines(body) {
			if !json.Valid(line) {
				return fmt.Errorf("record %d is not JSON", i)
			}
		}
		return produce(r, body)
	}
	return d, nil
}

func messages(records [][]byte) []kafka.Message {
	m := make([]kafka.Message, len(records))
	for i, record := range records {
		m[i].Value = record
	}
	return m
}
